"""Orders placed over HTTP beside the same writes by pgbench: `python -m benchmarks.orders`.

Both meet the same PostgreSQL in the same run, with fsync and synchronous commit on, and the same
statement, `models.placement.PLACE`: an order of one to three lines with its idempotency key, stock,
ledger and event. They take turns; the medians of the rounds are printed. Needs `wrk` (Debian).
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.orders.shop import ACCOUNTS, PRODUCTS, fill
from models import database, migration
from models.placement import PLACE
from orderly.embedded import EmbeddedPostgreSQL
from orderly.embedded.programs import program
from orderly.settings import Settings
from services.audit import audit
from services.configuration import configure

ROUNDS = 5
SECONDS = 5
CLIENTS = (1, 8, 32)
WORKERS = (1, 2)
HERE = Path(__file__).parent

# What PLACE is given, spelled in SQL from numbers that no two orders share.
_UNIQUE = "((:run::bigint << 26) + (:client_id::bigint << 20) + :counter::bigint)"
_IN_SQL = {
    "order_id": f"('a' || lpad(to_hex({_UNIQUE}), 31, '0'))::uuid",
    "event_id": f"('b' || lpad(to_hex({_UNIQUE}), 31, '0'))::uuid",
    "movement_ids": (
        f"ARRAY(SELECT (n || lpad(to_hex({_UNIQUE}), 31, '0'))::uuid"
        " FROM generate_series(1, :lines::int) AS n)"
    ),
    "key": f"'bench-' || {_UNIQUE}",
    "number": f"regexp_replace(lpad(upper(to_hex({_UNIQUE})), 8, '0'), '(....)', 'ORD-\\1-')",
    "fingerprint": f"sha256({_UNIQUE}::text::bytea)",
    "user_id": f"(SELECT id FROM bench_account WHERE n = 1 + :a::int % {ACCOUNTS})",
    "currency": "'EUR'",
    "shipping_address": "NULL::jsonb",
    "note": "NULL::text",
    "request_id": "'benchmark'",
    "line_count": ":lines::int",
    "product_ids": (
        "ARRAY(SELECT id FROM bench_product WHERE n IN"
        " (:a::int, CASE WHEN :lines::int > 1 THEN :b::int END,"
        " CASE WHEN :lines::int > 2 THEN :c::int END))"
    ),
    "quantities": "ARRAY(SELECT 1 FROM generate_series(1, :lines::int))",
}


class Measured(NamedTuple):
    """Orders a second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


class Case(NamedTuple):
    """What is measured: over how many products, by how many clients at once."""

    products: int
    clients: int


def main() -> None:
    """Measure and print."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"median of {ROUNDS} alternating rounds of {SECONDS} s\n")
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedPostgreSQL(Path(directory) / "data") as url,
    ):
        settings = replace(
            Settings.from_environment({}),
            database_url=url,
            data_dir=Path(directory) / "data",
            access_token_minutes=24 * 60,
            log_level="info",
        )
        configure(settings.configuration())
        database.bind(url, max_connections=2)
        migration.apply()
        files = fill(url, Path(directory))
        samples = _measure(settings, url, Path(directory), files)
        findings = audit()
        database.close()
    _print(samples)
    print(f"\naudit: {len(findings)} findings")
    sys.exit(bool(findings))


def _measure(
    settings: Settings, url: str, directory: Path, files: tuple[Path, Path]
) -> dict[tuple[Case, str], list[Measured]]:
    cases = [Case(products, clients) for products in (PRODUCTS, 1) for clients in CLIENTS]
    samples: dict[tuple[Case, str], list[Measured]] = {}
    run = 0
    for _ in range(ROUNDS):
        for case in cases:
            run += 1
            samples.setdefault((case, "pgbench"), []).append(_by_pgbench(url, directory, case, run))
        for workers in WORKERS:
            with _serving(replace(settings, workers=workers), directory) as address:
                _over_http(address, files, Case(PRODUCTS, 8), seconds=1)
                for case in cases:
                    samples.setdefault((case, f"HTTP, {workers} worker"), []).append(
                        _over_http(address, files, case)
                    )
    return samples


def _by_pgbench(url: str, directory: Path, case: Case, run: int) -> Measured:
    script = directory / "place.sql"
    script.write_text(_pgbench_script(case.products))
    log = directory / "pgbench_log"
    done = _run(
        [
            *[
                str(program("pgbench")),
                url,
                "--no-vacuum",
                "--protocol=prepared",
                f"--file={script}",
            ],
            *[f"--client={case.clients}", f"--jobs={min(case.clients, 2)}", f"--time={SECONDS}"],
            *[f"--define=run={run}", "--define=counter=0", "--log", f"--log-prefix={log}"],
        ]
    )
    rate = float(re.search(r"tps = ([0-9.]+)", done)[1])  # type: ignore[index]
    latencies = []
    for file in directory.glob("pgbench_log.*"):
        latencies += [int(line.split()[2]) / 1000 for line in file.read_text().splitlines()]
        file.unlink()
    return Measured(rate, *_percentiles(latencies))


def _percentiles(latencies: list[float]) -> tuple[float, float]:
    ordered = sorted(latencies)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def _pgbench_script(products: int) -> str:
    """Return the writes of an order as pgbench runs them, spread over this many products."""
    sql = PLACE.sql.replace("%%", "%")
    sql = re.sub(r"%\((\w+)\)s", lambda found: f"({_IN_SQL[found[1]]})", sql)
    third = max(products // 3, 1)
    return "\n".join(
        [
            "\\set counter :counter + 1",
            f"\\set lines random(1, {1 if products == 1 else 3})",
            # One of each third, so that no product is drawn twice.
            f"\\set a random(1, {third})",
            f"\\set b {third} + random(1, {third})",
            f"\\set c {2 * third} + random(1, {third})",
            " ".join(sql.split()) + ";",
        ]
    )


@contextmanager
def _serving(settings: Settings, directory: Path) -> Iterator[str]:
    """Run `orderly serve` as it ships, its log written to a file."""
    with (directory / "log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "orderly", "serve", "--port", "0"],
            env={**os.environ, **settings.as_environment(), "ORDERLY_PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert server.stdout is not None
            for line in server.stdout:
                if found := re.search(r"API +(http://[^/]+)", line):
                    yield found[1]
                    break
            else:
                raise RuntimeError("orderly did not start")
        finally:
            server.terminate()
            server.communicate()


def _over_http(
    address: str, files: tuple[Path, Path], case: Case, seconds: int = SECONDS
) -> Measured:
    done = _run(
        [
            *["wrk", "--threads", "1", "--connections", str(case.clients)],
            *["--duration", f"{seconds}s", "--script", str(HERE / "place.lua"), address, "--"],
            *[*map(str, files), str(case.products), str(time.monotonic_ns() % 1_000_000)],
        ]
    )
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done)
    assert found is not None, done
    count, microseconds, p50, p99, errors = map(int, found.groups())
    if errors:
        raise RuntimeError(f"{errors} of {count} requests were refused:\n{done}")
    return Measured(count / microseconds * 1e6, p50 / 1000, p99 / 1000)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _print(samples: dict[tuple[Case, str], list[Measured]]) -> None:
    medians = {
        which: Measured(*(statistics.median(column) for column in zip(*rounds, strict=True)))
        for which, rounds in samples.items()
    }
    print(f"{'':<34}{'orders/s':>10}{'p50':>10}{'p99':>10}{'of pgbench':>12}")
    for (case, how), one in sorted(medians.items(), key=lambda entry: (-entry[0][0].products,)):
        where = "one hot product" if case.products == 1 else f"{case.products} products"
        share = one.rate / medians[case, "pgbench"].rate
        print(
            f"{where}, {case.clients:>2} clients".ljust(28)
            + f"{how:<16}{one.rate:>8.0f}{one.p50:>8.1f} ms{one.p99:>7.1f} ms{share:>9.2f}x"
        )


if __name__ == "__main__":
    main()
