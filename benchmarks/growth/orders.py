"""Compares orders in a large and in a small shop: `python -m benchmarks.growth.orders`.

It calls the services that list orders, retrieve an order and its timeline, and place an order,
alternately in a shop of 10,000 orders and in one of 10,000,000. Filling the large shop takes about
ten minutes and 30 GB. `--data DIRECTORY` keeps the shops for the next run; `--orders 1000000` takes
a tenth of the time. The filters match the same share of both shops. Each call is repeated, so that
the data is cached: this measures the amount of work, not the speed of the disk.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.growth import history
from benchmarks.growth.alternation import Call, median_milliseconds, pin_to_one_core
from benchmarks.measuring import Comparison, at_most, environment_description, milliseconds, table
from database import binding, migrations
from database.pool import ConnectionPool
from database.transactions import autocommit
from domain.actor import ADMIN, CLIENT, Actor
from orderly.embedded import EmbeddedPostgreSQL
from services import orders, process
from services.configuration import Configuration
from services.orders import OrderFilters

SMALL = 10_000
LARGE = 10_000_000
GOAL = 1.3
_SAMPLES = 20  # number of users, orders and products that the calls cycle through
_SORTS = ("-created_at", "created_at", "-total", "total")
_TODAY = datetime.now(UTC)
_FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "a common status": {"statuses": ["DELIVERED"]},
    "a rare status": {"statuses": ["PENDING"]},
    "two statuses": {"statuses": ["PAID", "CANCELLED"]},
    "the last two weeks": {"created_from": _TODAY - timedelta(days=14)},
    "more than a year ago": {"created_to": _TODAY - timedelta(days=365)},
    "a month": {
        "created_from": _TODAY - timedelta(days=130),
        "created_to": _TODAY - timedelta(days=100),
    },
    "500.00 or more": {"min_total": 50_000},
    "2.00 or less": {"max_total": 200},
    "50.00 to 60.00": {"min_total": 5_000, "max_total": 6_000},
    "delivered in a month": {
        "statuses": ["DELIVERED"],
        "created_from": _TODAY - timedelta(days=130),
        "created_to": _TODAY - timedelta(days=100),
    },
    "a month, 100.00 or more": {
        "created_from": _TODAY - timedelta(days=130),
        "created_to": _TODAY - timedelta(days=100),
        "min_total": 10_000,
    },
}


class Shop(NamedTuple):
    """A shop: its connection pool, and samples of its users, orders and products."""

    pool: ConnectionPool
    admin: Actor
    clients: list[Actor]
    orders: list[tuple[UUID, str, Actor]]
    products: list[UUID]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _options(arguments)
    print(f"{environment_description()}\nmedians of {options.rounds} interleaved rounds\n")
    print(table(compare(options.orders, options.data, options.rounds, options.calls)))


def compare(large: int, data: Path | None, rounds: int, calls: int) -> list[Comparison]:
    """Compare a shop of `large` orders with the small one."""
    process.bind(Configuration(signing_key=b"a key for measurements of 32 bytes"))
    with ExitStack() as stack:
        directory = data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sizes = [filled_data_directory(directory, size) for size in (SMALL, large)]
        stack.enter_context(pin_to_one_core())
        small, other = (stack.enter_context(open_shop(data)) for data in sizes)
        return [
            at_most(
                f"{name}, {large:,} orders compared with {SMALL:,}",
                *median_milliseconds(other.pool, of_large, small.pool, of_small, rounds, calls),
                GOAL,
                milliseconds,
            )
            for (name, of_large), (_, of_small) in zip(_cases(other), _cases(small), strict=True)
        ]


def filled_data_directory(directory: Path, size: int) -> Path:
    """Return the data directory of a shop with `size` orders; fill it if it is not filled yet."""
    data = directory / str(size)
    mark = data / "filled"
    if not mark.exists():
        with EmbeddedPostgreSQL(data, options=history.FILLING) as url:
            _migrate(url)
            print(f"filling a shop with {size:,} orders", flush=True)
            history.fill(url, size)
        mark.touch()
    return data


@contextmanager
def open_shop(data: Path) -> Iterator[Shop]:
    """Start the PostgreSQL of a shop."""
    with EmbeddedPostgreSQL(data) as url:
        _migrate(url)
        binding.bind(url, max_connections=2)
        pool = binding.database.pool
        assert pool is not None
        try:
            found = _samples(pool)
            binding.database.pool = None
            yield found
        finally:
            pool.close()


def _migrate(url: str) -> None:
    binding.bind(url, max_connections=2, statement_timeout=0)
    migrations.apply()
    binding.close()
    binding.database.pool = None  # otherwise the next `bind` would close this pool


@autocommit
def _samples(pool: ConnectionPool) -> Shop:
    def first(statement: str) -> Any:
        return binding.database.execute_sql(statement, [_SAMPLES]).fetchall()

    found = first("SELECT id, number, user_id FROM orders ORDER BY number LIMIT %s")
    clients = [_actor(user_id, CLIENT) for _, _, user_id in found]
    ((admin,),) = first("SELECT id FROM users WHERE role = 'ADMIN' LIMIT least(1, %s)")
    return Shop(
        pool,
        _actor(admin, ADMIN),
        clients,
        [(one[0], one[1], client) for one, client in zip(found, clients, strict=True)],
        [one for (one,) in first("SELECT id FROM product ORDER BY sku LIMIT %s")],
    )


def _actor(user_id: UUID, role: str) -> Actor:
    return Actor(
        user_id=user_id,
        role=role,
        session_id=None,
        request_id="growth",
        address="127.0.0.1",
        user_agent="benchmark",
    )


def _cases(shop: Shop) -> Iterator[tuple[str, Call]]:
    """Return the name and the call of each case, in the same order for every shop."""
    listed = partial(orders.list_orders, limit=20)
    samples = cycle(shop.orders)
    for sort in _SORTS:
        yield (
            f"own list by {sort}",
            _with_next(
                samples, lambda _id, _number, client, sort=sort: listed(actor=client, sort=sort)
            ),
        )
    for name, filters in _FILTERS.items():
        for sort in _SORTS:
            yield (
                f"admin: {name} by {sort}",
                partial(listed, actor=shop.admin, sort=sort, filters=OrderFilters(**filters)),
            )
    for sort in _SORTS:
        yield (
            f"admin: one user's by {sort}",
            _with_next(
                samples,
                lambda _id, _number, client, sort=sort: listed(
                    actor=shop.admin, sort=sort, filters=OrderFilters(user_id=client.user_id)
                ),
            ),
        )
    yield (
        "admin: by number",
        _with_next(
            samples,
            lambda _id, number, _client: listed(
                actor=shop.admin, filters=OrderFilters(number=number)
            ),
        ),
    )
    yield (
        "one order",
        _with_next(
            samples,
            lambda order_id, _number, client: orders.get_order(actor=client, order_id=order_id),
        ),
    )
    yield (
        "its timeline",
        _with_next(
            samples,
            lambda order_id, _number, client: orders.list_order_events(
                actor=client, order_id=order_id, limit=20
            ),
        ),
    )
    keys = (f"{_TODAY.timestamp()}-{number}" for number in range(1 << 40))
    products = cycle(shop.products)
    yield (
        "placing an order",
        _with_next(
            samples,
            lambda _id, _number, client: orders.create_order(
                actor=client,
                items=[(next(products), 1), (next(products), 2)],
                idempotency_key=next(keys),
            ),
        ),
    )


def _with_next(samples: Iterator[tuple[UUID, str, Actor]], call: Callable[..., object]) -> Call:
    return lambda: call(*next(samples))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth.orders")
    parser.add_argument("--orders", type=int, default=LARGE, help="orders of the large shop")
    parser.add_argument("--data", type=Path, help="directory that keeps the shops")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--calls", type=int, default=2 * _SAMPLES, help="calls of each case in a round"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
