"""Compares product lists of a large and a small shop: `python -m benchmarks.growth.catalogue`.

It calls the list services, with filters for which a bad query plan would be slow, alternately in a
shop of 1,000 products and in one of 100,000. In both shops, a rare word or price matches ten
products, and a common one matches the same share of all products.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.growth.alternation import median_milliseconds, pin_to_one_core
from benchmarks.measuring import Comparison, at_most, environment_description, milliseconds, table
from database import binding, migrations
from database.pool import ConnectionPool
from database.transactions import autocommit
from orderly.embedded import EmbeddedPostgreSQL
from services import products

SMALL = 1_000
LARGE = 100_000
GOAL = 1.3
_RARE = 10
_SORTS = ("name", "-price", "-created_at", "stock")

# Ten products have a rare word, ten a rare price, ten a rare stock. Of all others, one in eight is
# sold out, and one in ten is archived.
_FILL = """
    INSERT INTO product (id, sku, name, description, price, version, archived_at, created_at,
        updated_at)
    SELECT gen_random_uuid(), 'SKU-' || n,
        initcap(left(md5(n::text), 8)) || ' '
            || (ARRAY['mug', 'lamp', 'kettle', 'scale'])[1 + n %% 4],
        'Made of stoneware, for every day. ' || md5((n * 7)::text) || ' '
            || repeat('It is as good as it looks. ', n %% 9)
            || CASE WHEN n %% ({products} / {rare}) = 0 THEN 'Unobtainable elsewhere.' ELSE '' END,
        CASE WHEN n %% ({products} / {rare}) = 1 THEN 2000000 + n
            ELSE 100 + (n * 7919) %% 100003 END,
        1, CASE WHEN n %% 10 = 7 THEN now() END, now() - n * interval '1 minute', now()
    FROM generate_series(1, {products}) AS n;
    INSERT INTO stock
    SELECT id, CASE
        WHEN substr(sku, 5)::int %% ({products} / {rare}) = 2 THEN 5000
        ELSE abs(hashtext(sku)) %% 8 * 25 END
    FROM product;
"""
_FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "in stock": {"in_stock": True},
    "a large stock": {"min_stock": 4_000},
    "a wide price range": {"min_price": 20_000, "max_price": 60_000},
    "the highest prices": {"min_price": 1_900_000},
    "a common word": {"q": "stoneware"},
    "a word in a quarter of the products": {"q": "lamp"},
    "two common words": {"q": "stoneware good"},
    "a common word, in stock": {"q": "stoneware", "in_stock": True},
    "a rare word": {"q": "unobtainable"},
    "the beginning of a rare word": {"q": "unobt"},
    "a rare word, in stock": {"q": "unobtainable", "in_stock": True},
}


class Shop(NamedTuple):
    """A shop, some of its products, and for each sort key a cursor to the middle of the list."""

    pool: ConnectionPool
    products: list[UUID]
    middle_cursors: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth.catalogue")
    parser.add_argument("--products", type=int, default=LARGE, help="products of the large shop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=40, help="calls of each case in a round")
    options = parser.parse_args(arguments)
    print(f"{environment_description()}\nmedians of {options.rounds} interleaved rounds\n")
    print(table(compare(options.products, options.rounds, options.calls)))


def compare(large: int, rounds: int, calls: int) -> list[Comparison]:
    """Compare a shop of `large` products with the small one."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(pin_to_one_core())
        small, other = (stack.enter_context(_shop(directory, size)) for size in (SMALL, large))
        return [
            at_most(
                f"{name}, {large:,} products compared with {SMALL:,}",
                *median_milliseconds(other.pool, of_large, small.pool, of_small, rounds, calls),
                GOAL,
                milliseconds,
            )
            for (name, of_large), (_, of_small) in zip(_cases(other), _cases(small), strict=True)
        ]


@contextmanager
def _shop(directory: Path, size: int) -> Iterator[Shop]:
    with EmbeddedPostgreSQL(directory / str(size), fsync=False) as url:
        binding.bind(url, max_connections=2, statement_timeout=0)
        migrations.apply()
        pool = binding.database.pool
        assert pool is not None
        _fill(size)
        middle_cursors = {sort: _middle_cursor(sort, size) for sort in _SORTS}
        product_ids = [one.id for one in products.list_products(limit=20).items]
        binding.database.pool = None
        try:
            yield Shop(pool, product_ids, middle_cursors)
        finally:
            pool.close()


@autocommit
def _fill(size: int) -> None:
    binding.database.execute_sql(_FILL.format(products=size, rare=_RARE))
    binding.database.execute_sql("VACUUM ANALYZE product")
    binding.database.execute_sql("VACUUM ANALYZE stock")


def _middle_cursor(sort: str, size: int) -> str:
    """Return a cursor to the middle of a list."""
    cursor = None
    for _ in range(max(size * 9 // 10 // 200, 1)):
        cursor = products.list_products(limit=100, sort=sort, cursor=cursor).next_cursor
    assert cursor is not None
    return cursor


def _cases(shop: Shop) -> Iterator[tuple[str, Callable[[], object]]]:
    listed = partial(products.list_products, limit=20)
    product_ids = cycle(shop.products)
    yield "one product", lambda: products.get_product(product_id=next(product_ids))
    for sort in _SORTS:
        yield (
            f"page in the middle: by {sort}",
            partial(listed, sort=sort, cursor=shop.middle_cursors[sort]),
        )
    for name, filters in _FILTERS.items():
        kind = "search" if "q" in filters else "filter" if filters else "catalogue"
        for sort in _SORTS:
            yield f"{kind}: {name} by {sort}", partial(listed, sort=sort, **filters)
        if "q" in filters:
            yield f"{kind}: {name} by relevance", partial(listed, **filters)


if __name__ == "__main__":
    main()
