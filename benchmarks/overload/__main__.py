"""Measures the server at twice its capacity: `python -m benchmarks.overload`.

Clients send orders whether or not earlier ones were answered, and give up after three seconds. The
best rate is measured first, with the same generator. Prints the goodput (orders answered in time)
in each window of five seconds compared with the best, how long the recovery takes, how many orders
were placed for clients who had given up, how fast health checks were answered, and the memory.

The generator has the last core for itself; server and PostgreSQL have the others.

A virtual machine is slower while others on its host are busy. So twice a second, the CPU time of a
fixed calculation is measured on the server's cores. The goodput is also printed divided by this
speed.

The shop has past orders. In an empty shop, all tables grow by more than a fifth
(`autovacuum_vacuum_insert_scale_factor`) within a minute, so autovacuum would process all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg2

from benchmarks.measuring import environment_description
from benchmarks.overload import chart
from benchmarks.overload.figures import figures_of
from benchmarks.overload.generator import Outcome, Plan
from benchmarks.servers import Ground, ground, orderly

_PATIENCE_SECONDS = 3.0
_CLIENTS = 32
_PAST_ORDERS = 500_000
_SAMPLE_SECONDS = 0.5
# Parsing it is the calculation. It takes about a millisecond, mostly for allocating and copying, as
# serving a request does.
_JSON = json.dumps([{"number": n, "text": str(n) * 8} for n in range(400)])


def main() -> None:
    """Measure, and print the figures."""
    given = _options()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[:-1]))
    with ground(_PAST_ORDERS) as on:
        # The queue for slots is measured, so the number of connections must not limit it.
        settings = replace(on.settings, max_connections=10_000)
        with orderly(settings, on.directory) as running, _Samples(running.pid) as samples:
            plan = _plan(given, on, running.address, cores[-1] if len(cores) > 1 else None)
            outcome = _generate(plan)
        placed = _orders(on.url, outcome.given_up_keys)
    figures = figures_of(outcome, placed, samples.memory, samples.speeds, _SAMPLE_SECONDS)
    print(environment_description())
    print(figures.text())
    if given.chart:
        chart.draw(given.chart, outcome, figures)
    if given.raw:
        given.raw.write_text(json.dumps(asdict(outcome)))
    sys.exit(not figures.reached())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload")
    parser.add_argument("--seconds", type=float, default=60, help="duration of the overload")
    parser.add_argument("--rush", type=float, default=2, help="times the best rate")
    parser.add_argument("--reads", type=float, default=0, help="share of requests for a product")
    parser.add_argument("--chart", type=Path, help="SVG file to draw")
    parser.add_argument("--raw", type=Path, help="JSON file for the raw counts")
    return parser.parse_args()


def _plan(given: argparse.Namespace, on: Ground, address: str, core: int | None) -> Plan:
    url = urlsplit(address)
    assert url.hostname is not None
    assert url.port is not None
    return Plan(
        host=url.hostname,
        port=url.port,
        tokens=on.stock.tokens.read_text().split(),
        products=on.stock.products.read_text().split(),
        patience_seconds=_PATIENCE_SECONDS,
        core=core,
        reads=given.reads,
        clients=_CLIENTS,
        # Long enough that the pages in use are in memory, and were written to the WAL as a whole.
        warm_up_seconds=20,
        search_seconds=5,
        rush=given.rush,
        rush_seconds=given.seconds,
        after=0.5,
        after_seconds=8,
    )


def _generate(plan: Plan) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.overload.generator"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Outcome.from_json(json.loads(done.stdout))


class _Placed(NamedTuple):
    """Orders of this measurement in the database."""

    total: int
    for_given_up: int


def _orders(url: str, given_up_keys: list[str]) -> _Placed:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM idempotency_key WHERE key LIKE 'overload-%%'),"
                " (SELECT count(*) FROM idempotency_key WHERE key = ANY(%s))",
                [given_up_keys],
            )
            total, for_given_up = cursor.fetchone() or (0, 0)
            return _Placed(total, for_given_up)
    finally:
        connection.close()


class _Samples:
    """Samples the resident memory of a process, in MiB, and the speed of the server's cores."""

    def __init__(self, pid: int) -> None:
        self.memory: list[float] = []
        # Calculations per second of CPU time
        self.speeds: list[float] = []
        self._statm = Path(f"/proc/{pid}/statm")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> _Samples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.memory.append(int(self._statm.read_text().split()[1]) * page)
            began = time.thread_time()
            json.loads(_JSON)
            self.speeds.append(1 / (time.thread_time() - began))


if __name__ == "__main__":
    main()
