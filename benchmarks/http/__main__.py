"""Compares reads over HTTP with other servers: `python -m benchmarks.http`.

The servers are Orderly, FastAPI with asyncpg, Fastify with node-postgres, and Express with Prisma.
Each has one process, and all read from the same PostgreSQL:

- one of 10,000 products, chosen at random; one popular product; a page of 20 products;
- only Orderly: a search, and a product that has not changed since the client read it (304).

Orderly is measured with its cache of the catalogue, and without it (as for signed-in users). Each
of the 10,000 products is read about once per second, so most of these responses are cache misses.
wrk generates the load with 16 connections. The servers are measured alternately. The CPU time per
request has less noise than the rates, and shows what a request costs when PostgreSQL and the load
have their own cores.

`--all` measures FastAPI with SQLAlchemy and stock Connexion with Peewee too.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers
from benchmarks.load import Measured, median
from benchmarks.measuring import (
    Comparison,
    at_least,
    at_most,
    interleaved,
    microseconds,
    options,
    per_second,
    report,
)
from benchmarks.servers import (
    ASYNCPG,
    FASTAPI,
    FASTIFY,
    ORDERLY,
    PRISMA,
    STOCK,
    Ground,
    Running,
)

CLIENTS = 16
UNCACHED = "Orderly without cache"
ONE, PAGE, SEARCH = "one product of 10,000", "a page of 20", "a search"
UNCHANGED, HOT = "304", "one popular product"
_SCRIPT = Path(__file__).with_name("get.lua")
_PATHS = {
    ONE: "/api/v1/products/*",
    PAGE: "/api/v1/products?limit=20",
    SEARCH: "/api/v1/products?limit=20&q=product",
}
# The lowest ratios of Orderly's rate to another server's
_GOALS = {
    (ORDERLY, FASTIFY): {ONE: 1.0, PAGE: 1.0, HOT: 1.0},
    (ORDERLY, ASYNCPG): {ONE: 4.0, PAGE: 4.0, HOT: 4.0},
    (ORDERLY, PRISMA): {},
    (UNCACHED, ASYNCPG): {ONE: 1.5, PAGE: 1.3},
}
_GOAL_UNCHANGED = 1.3
# The highest CPU time of PostgreSQL for a page, in microseconds
_GOAL_PAGE_MICROSECONDS = 70.0


class Case(NamedTuple):
    """A kind of read, and the server."""

    read: str
    server: str


def compare(
    ground: Ground, rounds: int, seconds: int, *, with_all: bool = False
) -> list[Comparison]:
    """Measure Orderly and the other servers."""
    more_goals: dict[tuple[str, str], dict[str, float]] = (
        {(UNCACHED, FASTAPI): {}, (UNCACHED, STOCK): {}} if with_all else {}
    )
    goals_by_servers = {**_GOALS, **more_goals}
    found = _measure(ground, rounds, seconds, {theirs for _, theirs in goals_by_servers})
    lines = []
    for (ours, theirs), goals in goals_by_servers.items():
        for read in (ONE, HOT, PAGE):
            one, other = found[Case(read, ours)], found[Case(read, theirs)]
            what = f"{read}, {ours}, compared with {theirs}"
            lines.append(at_least(what, one.rate, other.rate, goals.get(read), per_second))
            cpu = f"{what}: CPU of the server"
            lines.append(at_most(cpu, one.server_cpu, other.server_cpu, None, microseconds))
            cpu = f"{what}: CPU of PostgreSQL"
            lines.append(at_most(cpu, one.database_cpu, other.database_cpu, None, microseconds))
    for server, goal in ((ORDERLY, _GOAL_UNCHANGED), (UNCACHED, None)):
        whole, unchanged = found[Case(HOT, server)], found[Case(UNCHANGED, server)]
        what = f"304, {server}, compared with 200"
        lines.append(at_least(what, unchanged.rate, whole.rate, goal, per_second))
    search = found[Case(SEARCH, ORDERLY)], found[Case(SEARCH, UNCACHED)]
    lines.append(
        at_least(
            f"{SEARCH}, with and without cache", search[0].rate, search[1].rate, None, per_second
        )
    )
    page = found[Case(PAGE, UNCACHED)].database_cpu
    what = f"{PAGE}, {UNCACHED}: CPU of PostgreSQL, compared with the goal"
    lines.append(at_most(what, page, _GOAL_PAGE_MICROSECONDS, 1.0, microseconds))
    return lines


def _measure(
    ground: Ground, rounds: int, seconds: int, others: Collection[str]
) -> dict[Case, Measured]:
    uncached = ground._replace(settings=replace(ground.settings, catalogue_cache_seconds=0))
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(servers.serving(ORDERLY if on is uncached else name, on))
            for name, on in {
                ORDERLY: ground,
                UNCACHED: uncached,
                **dict.fromkeys(sorted(others), ground),
            }.items()
        }
        cases = {
            Case(read, name): partial(_load, ground, one, path, "-", seconds)
            for name, one in running.items()
            for read, path in _PATHS.items()
            if read != SEARCH or name in {ORDERLY, UNCACHED}
        }
        popular = f"/api/v1/products/{ground.stock.products.read_text().split()[0]}"
        with urllib.request.urlopen(running[UNCACHED].address + popular) as response:
            tag = response.headers["ETag"]
        for name, one in running.items():
            cases[Case(HOT, name)] = partial(_load, ground, one, popular, "-", seconds)
            if name in {ORDERLY, UNCACHED}:
                cases[Case(UNCHANGED, name)] = partial(_load, ground, one, popular, tag, seconds)
        for warm_up in cases.values():
            warm_up.func(*warm_up.args[:-1], 1)
        return {case: median(taken) for case, taken in interleaved(cases, rounds).items()}


def _load(ground: Ground, server: Running, path: str, tag: str, seconds: int) -> Measured:
    arguments = (ground.stock.products, path, tag)
    return servers.measure(server, _SCRIPT, arguments, clients=CLIENTS, seconds=seconds)


def main() -> None:
    """Measure and print."""
    parser = options("python -m benchmarks.http")
    parser.add_argument("--all", action="store_true", help="measure slower servers too")
    given = parser.parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.seconds, with_all=given.all))


if __name__ == "__main__":
    main()
