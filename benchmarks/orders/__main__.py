"""Compares placing orders over HTTP with pgbench and other servers: `python -m benchmarks.orders`.

All use the same PostgreSQL, with fsync and synchronous commit. pgbench executes the same statement
as Orderly, `models.placement.PLACE`: an order of one to three lines with its idempotency key, stock
movements and event. The cases alternate; medians are printed. A second measurement shows whether
many orders of one product delay orders of other products. Needs `wrk`; pgbench is included in the
embedded PostgreSQL.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers
from benchmarks.load import Measured, Wrk, median
from benchmarks.measuring import (
    Comparison,
    at_least,
    at_most,
    interleaved,
    microseconds,
    milliseconds,
    options,
    per_second,
    report,
)
from benchmarks.servers import ASYNCPG, FASTIFY, ORDERLY, PRISMA, Ground, Running
from benchmarks.shop import ACCOUNTS, PRODUCTS
from models.placement import PLACE
from orderly.embedded.programs import program
from services.audit import audit

CLIENTS = (1, 8, 16, 32)
MANY = 32
PGBENCH = "pgbench"
# By number of clients, the lowest ratio of Orderly's rate to another server's. The other servers
# write only the order, its items and the stock.
_PEER_GOALS: Mapping[int, Mapping[str, float | None]] = {
    1: {ASYNCPG: None, FASTIFY: 0.9, PRISMA: None},
    16: {ASYNCPG: 1.5, FASTIFY: 0.7, PRISMA: 4.0},
}
# By number of clients, the same for pgbench
_PGBENCH_GOALS = {1: 0.5, 8: 0.7, 32: 0.7}
# The lowest ratio of the rate of orders of one product to that of orders of 10,000 products
_GOAL_HOT = 0.8
_SCRIPT = Path(__file__).with_name("place.lua")
_RUNS = count(1)

# The parameters of PLACE as SQL expressions, derived from numbers that are unique to each order.
# 32 bits, since the order number has 8 hexadecimal digits: 12 for the run, 6 for the client.
_UNIQUE = "((:run::bigint << 20) + (:client_id::bigint << 14) + :counter::bigint)"
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
    "sends_mail": "false",
    "line_count": ":lines::int",
    "product_ids": (
        "ARRAY(SELECT id FROM bench_product WHERE n IN"
        " (:a::int, CASE WHEN :lines::int > 1 THEN :b::int END,"
        " CASE WHEN :lines::int > 2 THEN :c::int END))"
    ),
    "quantities": "ARRAY(SELECT 1 FROM generate_series(1, :lines::int))",
}


class Case(NamedTuple):
    """A load: the number of products, of concurrent clients, the server, and its workers."""

    products: int
    clients: int
    server: str
    workers: int = 1

    def __str__(self) -> str:
        where = "one hot product" if self.products == 1 else f"{self.products:,} products"
        return f"orders, {where}, {self.clients} clients, {self.workers} worker"


def compare(ground: Ground, rounds: int, seconds: int) -> list[Comparison]:
    """Measure Orderly, pgbench and the other servers."""
    found: dict[Case, Measured] = {}
    for workers in (1, 2):
        found |= _measure(ground, workers, rounds, seconds)
    return [
        *_compare_with_pgbench(found),
        *_compare_with_peers(found),
        *_compare_one_product(found),
        *_compare_hot_product(ground, rounds, seconds),
    ]


def _measure(ground: Ground, workers: int, rounds: int, seconds: int) -> dict[Case, Measured]:
    """Measure Orderly and pgbench; with one worker the other servers too."""
    peers = (ASYNCPG, FASTIFY, PRISMA) if workers == 1 else ()
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(servers.serving(name, ground, workers))
            for name in (ORDERLY, *peers)
        }
        cases = {
            case: partial(_by_http, ground, running[case.server], case, seconds)
            for products in (PRODUCTS, 1)
            for clients in CLIENTS
            for name in running
            if (case := Case(products, clients, name, workers)).server == ORDERLY
            or (clients in _PEER_GOALS and products == PRODUCTS)
        } | {
            case: partial(_by_pgbench, ground, case, seconds)
            for products in (PRODUCTS, 1)
            for clients in CLIENTS
            for case in [Case(products, clients, PGBENCH, workers)]
        }
        for name, server in running.items():
            _by_http(ground, server, Case(PRODUCTS, 8, name), 1)
        return {case: median(taken) for case, taken in interleaved(cases, rounds).items()}


def _compare_with_pgbench(found: dict[Case, Measured]) -> list[Comparison]:
    lines = []
    for case, ours in found.items():
        if case.server != ORDERLY:
            continue
        baseline = found[case._replace(server=PGBENCH)]
        goal = _PGBENCH_GOALS.get(case.clients) if case.products > 1 and case.workers == 1 else None
        lines.append(
            at_least(f"{case}, compared with pgbench", ours.rate, baseline.rate, goal, per_second)
        )
    for case, ours in found.items():
        if case.server == ORDERLY:
            goal = 8 if case.clients == MANY else None
            what = f"{case}, p99 compared with p50"
            lines.append(at_most(what, ours.p99, ours.p50, goal, milliseconds))
    return lines


def _compare_with_peers(found: dict[Case, Measured]) -> list[Comparison]:
    lines = []
    for clients, goals in _PEER_GOALS.items():
        case = Case(PRODUCTS, clients, ORDERLY)
        ours = found[case]
        for peer, goal in goals.items():
            theirs = found[case._replace(server=peer)]
            what = f"{case}, compared with {peer}"
            lines += [
                at_least(what, ours.rate, theirs.rate, goal, per_second),
                *_compare_cpu(what, ours, theirs),
            ]
    return lines


def _compare_one_product(found: dict[Case, Measured]) -> list[Comparison]:
    """Compare orders of one product with orders of all products."""
    lines = []
    for clients in (16, MANY):
        case = Case(1, clients, ORDERLY)
        one, all_products = found[case], found[case._replace(products=PRODUCTS)]
        what = f"{case}, compared with {PRODUCTS:,} products"
        lines += [
            at_least(what, one.rate, all_products.rate, _GOAL_HOT, per_second),
            *_compare_cpu(what, one, all_products),
        ]
    return lines


def _compare_cpu(what: str, ours: Measured, theirs: Measured) -> list[Comparison]:
    return [
        at_most(f"{what}: CPU of the {name}", one, other, None, microseconds)
        for name, one, other in (
            ("server", ours.server_cpu, theirs.server_cpu),
            ("database", ours.database_cpu, theirs.database_cpu),
        )
    ]


def _compare_hot_product(ground: Ground, rounds: int, seconds: int) -> list[Comparison]:
    """Compare the latency of orders during other orders of one product, and of all products."""
    with servers.serving(ORDERLY, ground) as running:
        cases = {
            products: partial(_latency_of_other_orders, ground, running, products, seconds)
            for products in (1, PRODUCTS)
        }
        _by_http(ground, running, Case(PRODUCTS, 8, ORDERLY), 1)
        taken = interleaved(cases, rounds)
    hot, all_products = median(taken[1]), median(taken[PRODUCTS])
    what = f"p50 of other orders while {MANY} clients order one product, compared with all"
    return [at_most(what, hot.p50, all_products.p50, 1.5, milliseconds)]


def _latency_of_other_orders(
    ground: Ground, server: Running, products: int, seconds: int
) -> Measured:
    background = _wrk(ground, server, Case(products, MANY, ORDERLY), seconds + 1)
    time.sleep(0.5)
    others = _wrk(ground, server, Case(PRODUCTS, 4, ORDERLY), seconds, first=2).result()
    background.result()
    return others


def _by_http(ground: Ground, server: Running, case: Case, seconds: int) -> Measured:
    arguments = _arguments(ground, case)
    return servers.measure(server, _SCRIPT, arguments, clients=case.clients, seconds=seconds)


def _wrk(ground: Ground, server: Running, case: Case, seconds: int, first: int = 1) -> Wrk:
    arguments = _arguments(ground, case, first)
    return Wrk(server.address, _SCRIPT, arguments, clients=case.clients, seconds=seconds)


def _arguments(ground: Ground, case: Case, first: int = 1) -> tuple[object, ...]:
    """Return the arguments of the script, which orders products from the `first` on."""
    seed = time.monotonic_ns() % 1_000_000
    return ground.stock.products, ground.stock.tokens, first, case.products, seed


def _by_pgbench(ground: Ground, case: Case, seconds: int) -> Measured:
    script, log = ground.directory / "place.sql", ground.directory / "pgbench_log"
    script.write_text(_pgbench_script(case.products))
    output = servers.run(
        [
            *[str(program("pgbench")), ground.url, "--no-vacuum", "--protocol=prepared"],
            *[f"--file={script}", f"--client={case.clients}", f"--jobs={min(case.clients, 2)}"],
            *[f"--time={seconds}", f"--define=run={next(_RUNS)}", "--define=counter=0"],
            *["--log", f"--log-prefix={log}"],
        ]
    )
    rate = float(re.search(r"tps = ([0-9.]+)", output)[1])  # type: ignore[index]
    latencies = []
    for file in ground.directory.glob("pgbench_log.*"):
        latencies += [int(line.split()[2]) / 1000 for line in file.read_text().splitlines()]
        file.unlink()
    ordered = sorted(latencies)
    return Measured(rate, ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100])


def _pgbench_script(products: int) -> str:
    """Return a pgbench script that places orders of up to this many products."""
    sql = PLACE.sql.replace("%%", "%")
    sql = re.sub(r"%\((\w+)\)s", lambda found: f"({_IN_SQL[found[1]]})", sql)
    third = max(products // 3, 1)
    return "\n".join(
        [
            "\\set counter :counter + 1",
            f"\\set lines random(1, {1 if products == 1 else 3})",
            # One product from each third, so that an order has no product twice.
            f"\\set a random(1, {third})",
            f"\\set b {third} + random(1, {third})",
            f"\\set c {2 * third} + random(1, {third})",
            " ".join(sql.split()) + ";",
        ]
    )


def main() -> None:
    """Measure and print; exit with status 1 if the audit finds a violation."""
    given = options("python -m benchmarks.orders").parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.seconds))
        findings = audit()
    print(f"\naudit: {len(findings)} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
