"""Compares reads over HTTP with other servers: `python -m benchmarks.http`.

Each server reads from the same PostgreSQL one of 10,000 products, a page of 20 products, and a
product that has not changed since the client read it (304). wrk generates the load with 16
connections. The servers are measured alternately.
"""

from __future__ import annotations

import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers
from benchmarks.load import Measured, Wrk, median
from benchmarks.measuring import Comparison, at_least, interleaved, options, per_second, report
from benchmarks.servers import FASTAPI, ORDERLY, STOCK, Ground

CLIENTS = 16
GOAL = 2.0
_SCRIPT = Path(__file__).with_name("get.lua")
_READS = {"one product": "/api/v1/products/*", "a page of 20": "/api/v1/products?limit=20"}


class Case(NamedTuple):
    """A kind of read, the server, and its number of workers."""

    read: str
    stack: str
    workers: int


def compare(ground: Ground, rounds: int, seconds: int) -> list[Comparison]:
    """Measure Orderly and the other servers."""
    found: dict[Case, Measured] = {}
    for workers in (1, 2):
        found |= _measure(ground, workers, rounds, seconds)
    lines = [
        at_least(
            f"{read}, {workers} worker, compared with {stack}",
            found[Case(read, ORDERLY, workers)].rate,
            found[Case(read, stack, workers)].rate,
            GOAL if workers == 1 and stack == FASTAPI else None,
            per_second,
        )
        for workers in (1, 2)
        for stack in (FASTAPI, STOCK)
        for read in _READS
    ]
    return lines + [
        at_least(
            f"the same product again (304), {workers} worker, compared with 200",
            found[Case("304", ORDERLY, workers)].rate,
            found[Case("one product", ORDERLY, workers)].rate,
            None,
            per_second,
        )
        for workers in (1, 2)
    ]


def _measure(ground: Ground, workers: int, rounds: int, seconds: int) -> dict[Case, Measured]:
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(servers.serving(name, ground, workers)).address
            for name in (ORDERLY, FASTAPI, STOCK)
        }
        cases = {
            Case(read, name, workers): partial(_load, ground, address, path, "-", seconds)
            for name, address in running.items()
            for read, path in _READS.items()
        }
        product = ground.stock.products.read_text().split()[0]
        path = f"/api/v1/products/{product}"
        with urllib.request.urlopen(running[ORDERLY] + path) as response:
            tag = response.headers["ETag"]
        address = running[ORDERLY]
        cases[Case("304", ORDERLY, workers)] = partial(_load, ground, address, path, tag, seconds)
        for warm_up in cases.values():
            warm_up.func(*warm_up.args[:-1], 1)
        return {case: median(taken) for case, taken in interleaved(cases, rounds).items()}


def _load(ground: Ground, address: str, path: str, tag: str, seconds: int) -> Measured:
    arguments = (ground.stock.products, path, tag)
    return Wrk(address, _SCRIPT, arguments, clients=CLIENTS, seconds=seconds).result()


def main() -> None:
    """Measure and print."""
    given = options("python -m benchmarks.http").parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.seconds))


if __name__ == "__main__":
    main()
