"""Measures start-up and memory of `orderly serve`: `python -m benchmarks.start`.

Measures an installation by pip in a new virtual environment, with the locked versions. The packages
of tests and benchmarks would increase the memory, since some libraries import optional packages.
Measures the time until the first response, with a new and with an existing data directory; and the
memory of a worker after 10,000 requests and after `--requests` requests of all kinds.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

from benchmarks import servers
from benchmarks.load import Wrk
from benchmarks.measuring import Comparison, at_most, mebibytes, options, report, seconds
from benchmarks.servers import Ground

REQUESTS = 100_000
_FIRST_GOAL, _LATER_GOAL, _MEMORY_GOAL, _FLAT_GOAL = 3.0, 1.5, 120.0, 1.05
_WARM = 10_000
_SCRIPTS = Path(__file__).parent


def compare(ground: Ground, rounds: int, requests: int) -> list[Comparison]:
    """Measure start-up and memory; the goals are the baselines."""
    with tempfile.TemporaryDirectory() as directory:
        python = _install(Path(directory) / "installed")
        first = [_start(python, Path(directory) / str(number)) for number in range(rounds)]
        later = [_start(python, Path(directory) / "0") for _ in range(rounds)]
        warm, after = _memory(python, ground, requests)
    return [
        at_most(
            f"first start, compared with {_FIRST_GOAL:g} s",
            statistics.median(first),
            _FIRST_GOAL,
            1,
            seconds,
        ),
        at_most(
            f"later start, compared with {_LATER_GOAL:g} s",
            statistics.median(later),
            _LATER_GOAL,
            1,
            seconds,
        ),
        at_most(
            f"memory of a worker after {requests:,} requests, compared with {_MEMORY_GOAL:g} MiB",
            after,
            _MEMORY_GOAL,
            1,
            mebibytes,
        ),
        at_most(f"the same, compared with after {_WARM:,}", after, warm, _FLAT_GOAL, mebibytes),
    ]


def _install(directory: Path) -> Path:
    """Install Orderly in a new virtual environment; return its Python."""
    servers.run([sys.executable, "-m", "venv", str(directory)])
    python = directory / "bin" / "python"
    project = _SCRIPTS.parent
    # Without the hashes: pip would demand one for the project too.
    locked = re.sub(r" \\\n +--hash=\S+", "", (project / "requirements.lock").read_text())
    constraints = directory / "constraints.txt"
    constraints.write_text(locked)
    arguments = ["install", "--quiet", "--constraint", str(constraints), str(project)]
    servers.run([str(python), "-m", "pip", *arguments])
    return python


def _start(python: Path, data_dir: Path) -> float:
    """Return the seconds until the server reports that it is ready."""
    port = servers.free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(python), "-I", "-m", "orderly", "serve", "--data-dir", str(data_dir), "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _responds(f"http://127.0.0.1:{port}/health/ready"):
            if process.poll() is not None:
                sys.exit("orderly serve did not start")
            time.sleep(0.005)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _memory(python: Path, ground: Ground, requests: int) -> tuple[float, float]:
    """Return the memory of a worker in MiB, after the first 10,000 requests and after all."""
    settings = replace(ground.settings, workers=1)
    with servers.orderly(settings, ground.directory, python=python) as running:
        _send_requests(ground, running.address, _WARM)
        warm = _resident(running.pid)
        _send_requests(ground, running.address, requests - _WARM)
        return warm, _resident(running.pid)


def _send_requests(ground: Ground, address: str, requests: int) -> None:
    """Send at least `requests` requests: one second each of reads, pages and orders, repeatedly."""
    stock, made = ground.stock, 0.0
    reads = (_SCRIPTS / "http" / "get.lua", (stock.products, "/api/v1/products/*", "-"))
    pages = (_SCRIPTS / "http" / "get.lua", (stock.products, "/api/v1/products?limit=20", "-"))
    while made < requests:
        orders = (stock.products, stock.tokens, 1, 10_000, time.monotonic_ns() % 1_000_000)
        for script, arguments in (reads, pages, (_SCRIPTS / "orders" / "place.lua", orders)):
            made += Wrk(address, script, arguments, clients=32, seconds=1).result().rate


def _resident(pid: int) -> float:
    """Return the resident memory of a process, including shared memory, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.read())
    except OSError:
        return False


def main() -> None:
    """Measure and print."""
    parser = options("python -m benchmarks.start")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    given = parser.parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.requests))


if __name__ == "__main__":
    main()
