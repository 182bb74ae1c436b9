"""Compares PostgreSQL settings, for orders: `python -m benchmarks.postgresql_settings`.

16 clients order one to three of 10,000 products over HTTP. The cases alternate on one server:
`ALTER SYSTEM` changes the settings. A checkpoint precedes each measurement: afterwards, the first
change of each page writes the whole page to the WAL, so the WAL per order is at its maximum. Prints
medians: orders per second, CPU time of PostgreSQL per order, and WAL per order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psycopg2

from benchmarks import servers
from benchmarks.measuring import environment_description, interleaved, options
from benchmarks.shop import PRODUCTS

CLIENTS = 16
_SCRIPT = Path(__file__).with_name("orders") / "place.lua"
_DEFAULT = "defaults"


class Case(NamedTuple):
    """SQL statements to execute before and after the measurement."""

    begin: Sequence[str] = ()
    end: Sequence[str] = ()


def _setting(name: str, value: str) -> Case:
    return Case([f"ALTER SYSTEM SET {name} = '{value}'"], [f"ALTER SYSTEM RESET {name}"])


CASES: Mapping[str, Case] = {
    _DEFAULT: Case(),
    "synchronous_commit = off": _setting("synchronous_commit", "off"),
    "commit_delay = 500": _setting("commit_delay", "500"),
    "wal_compression = on": _setting("wal_compression", "on"),
    # Without this index, and with free space in each page, PostgreSQL can update stock without
    # adding entries to its indexes (heap-only tuples).
    "no index of stock.quantity, fillfactor 50": Case(
        [
            "DROP INDEX ix_stock_quantity",
            "ALTER TABLE stock SET (fillfactor = 50)",
            "VACUUM FULL stock",
        ],
        [
            "ALTER TABLE stock RESET (fillfactor)",
            "VACUUM FULL stock",
            "CREATE INDEX ix_stock_quantity ON stock (quantity, product_id)",
        ],
    ),
}


class Sample(NamedTuple):
    """Orders per second, microseconds of PostgreSQL's CPU time and bytes of WAL for each order."""

    rate: float
    database_cpu: float
    wal: float


def main() -> None:
    """Measure and print."""
    given = options("python -m benchmarks.postgresql_settings").parse_args()
    with servers.ground() as ground, servers.serving(servers.ORDERLY, ground) as server:
        connection = psycopg2.connect(ground.url)
        connection.autocommit = True
        measure = partial(_measure, ground, server, connection.cursor(), given.seconds)
        measure(CASES[_DEFAULT])  # warms up
        found = interleaved(
            {name: partial(measure, case) for name, case in CASES.items()}, given.rounds
        )
        connection.close()
    print(environment_description())
    for name, samples in found.items():
        rate, cpu, wal = (median(column) for column in zip(*samples, strict=True))
        print(f"{name:45} {rate:6.0f} orders/s {cpu:6.0f} us {wal:7.0f} bytes of WAL")


def _measure(
    ground: servers.Ground, server: servers.Running, cursor: Any, seconds: int, case: Case
) -> Sample:
    _execute(cursor, [*case.begin, "SELECT pg_reload_conf()", "CHECKPOINT"])
    stock = ground.stock
    arguments = (stock.products, stock.tokens, 1, PRODUCTS, 1)
    wal_before = _wal(cursor)
    measured = servers.measure(server, _SCRIPT, arguments, clients=CLIENTS, seconds=seconds)
    wal = _wal(cursor) - wal_before
    _execute(cursor, [*case.end, "SELECT pg_reload_conf()"])
    return Sample(measured.rate, measured.database_cpu, wal / (measured.rate * seconds))


def _execute(cursor: Any, statements: Sequence[str]) -> None:
    for statement in statements:
        cursor.execute(statement)


def _wal(cursor: Any) -> int:
    """Return the number of bytes of WAL since the start."""
    cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    (size,) = cursor.fetchone()
    return int(size)


if __name__ == "__main__":
    main()
