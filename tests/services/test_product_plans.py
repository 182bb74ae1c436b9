"""The catalogue is read from indexes, page by page, however many products there are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from database.transactions import autocommit
from domain.paging import Page
from services import products
from services.products import Product
from tests.support.database import Sql
from tests.support.query_plans import Plan, buffers_read, record_plans, rows_read, sequential_scans

PRODUCTS = 30_000
LIMIT = 20
# Rows of both tables, each with the way to it in an index.
MOST_BUFFERS = 5 * 7_500
# What is one in a hundred and fifty is the dearest: some thousand are passed over until a page is
# full, however many there are in all.
MOST_ROWS = 7_500

# A shop that is large and nearly sold out. Each 25th is dear; 20 words are rare, some are common.
FILL = f"""
    INSERT INTO product (id, sku, name, description, price, version, archived_at, created_at,
        updated_at)
    SELECT gen_random_uuid(), 'SKU-' || n,
        md5(n::text) || ' ' || (ARRAY['Mug', 'Lamp', 'Kettle', 'Scale'])[1 + n % 4],
        'Ceramic, of use at home' || CASE WHEN n % 1500 = 0 THEN ', unobtainable' ELSE '' END,
        CASE WHEN n % 25 = 0 THEN 100000 + n ELSE (n * 7919) % 10007 END, 1,
        CASE WHEN n % 10 = 0 THEN now() END, now() - n * interval '1 minute', now()
    FROM generate_series(1, {PRODUCTS}) AS n;
    INSERT INTO stock
    SELECT id, CASE WHEN sku LIKE '%%77' THEN 3 WHEN sku LIKE '%%007' THEN 90 ELSE 0 END
    FROM product;
"""

# One that was filled kind by kind, as from lists of suppliers: what is alike is of one time, one
# price and one place in the alphabet. Only the last kind is in stock; one word is new.
FILL_BY_KIND = f"""
    INSERT INTO product (id, sku, name, description, price, version, archived_at, created_at,
        updated_at)
    SELECT gen_random_uuid(), 'SKU-' || n, kind || ' ' || md5(n::text),
        CASE WHEN n <= 3 THEN 'Just come in' ELSE 'Ceramic' END,
        place * 1000 + n % 1000, 1,
        CASE WHEN n % 10 = 0 THEN now() END, now() - n * interval '1 minute', now()
    FROM (
        SELECT n, place, (ARRAY['Apron', 'Bowl', 'Cup', 'Dish', 'Egg cup', 'Fork', 'Glass', 'Hook',
            'Iron', 'Jug', 'Kettle', 'Lamp', 'Mug', 'Napkin', 'Oven', 'Pan', 'Rack', 'Spoon',
            'Tray', 'Zester'])[place] AS kind
        FROM generate_series(1, {PRODUCTS}) AS n, LATERAL (SELECT 1 + n * 20 / {PRODUCTS + 1}) AS
            of (place)
    ) AS one;
    INSERT INTO stock SELECT id, CASE WHEN name < 'U' THEN 0 ELSE 1 + price % 10 END FROM product;
"""

FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "a common word": {"q": "ceramic"},
    "the beginning of a common word": {"q": "cera"},
    "a word of a fourth": {"q": "lamp"},
    "a rare word": {"q": "unobtainable"},
    "the beginning of a rare word": {"q": "unob"},
    "two words, one of them rare": {"q": "ceramic unob"},
    "two common words": {"q": "ceramic lamp"},
    "three common words": {"q": "ceramic use home"},
    "a word that is nowhere": {"q": "zeppelin"},
    "a sku": {"q": "sku-12345"},
    "in stock, of few": {"in_stock": True},
    "sold out, of many": {"in_stock": False},
    "much in stock": {"min_stock": 50},
    "running low": {"min_stock": 1, "max_stock": 5},
    "a rare word in stock": {"q": "unob", "in_stock": True},
    "a common word in stock": {"q": "ceramic", "in_stock": True},
    "cheap": {"max_price": 50},
    "dear": {"min_price": 125_000},
    "a window of prices": {"min_price": 5_000, "max_price": 5_100},
}
FILTERS_BY_KIND: dict[str, dict[str, Any]] = {
    "a kind": {"q": "zester"},
    "another kind": {"q": "apron"},
    "a kind in stock": {"q": "zester", "in_stock": True},
    "what is new": {"q": "just"},
    "in stock": {"in_stock": True},
    "running low": {"min_stock": 1, "max_stock": 5},
    "dear": {"min_price": 20_000},
    "cheap": {"max_price": 1_999},
    "of no kind": {"q": "apron", "min_price": 20_000},
}
SORTS = ["relevance", "name", "-name", "price", "-price", "created_at", "-created_at", "stock"]


@pytest.fixture(autouse=True)
def many_products(shop: str, sql: Sql) -> None:
    del shop
    sql(FILL.replace("%%", "%"))
    # As autovacuum does sooner or later, which changes what PostgreSQL thinks of an index of words.
    sql("VACUUM ANALYZE product, stock")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Collect the query plans of the statements that the test runs."""
    return record_plans(monkeypatch, "product", "stock")


def assert_cheap(plan: dict[str, Any], case: str) -> None:
    rows, buffers = rows_read(plan), buffers_read(plan)
    assert [] == sequential_scans(plan), f"{case}: {plan}"
    assert rows <= MOST_ROWS, f"{case}: {rows} rows, {plan}"
    assert buffers <= MOST_BUFFERS, f"{case}: {buffers} buffers, {plan}"


@autocommit
def look(sort: str, filters: dict[str, Any], deep: str) -> None:
    """Read the first page and the one after it, and one deep in the list."""
    page: Page[Product] = products.list_products(limit=LIMIT, sort=sort, **filters)
    for cursor in {page.next_cursor, deep} - {None}:
        products.list_products(limit=LIMIT, sort=sort, cursor=cursor, **filters)


def test_no_list_reads_more_than_its_page(plans: list[Plan]):
    for sort in SORTS:
        page = products.list_products(limit=100, sort=sort)
        for _ in range(20):
            page = products.list_products(limit=100, sort=sort, cursor=page.next_cursor)
        assert page.next_cursor is not None
        plans.clear()
        for name, filters in FILTERS.items():
            look(sort, filters, page.next_cursor)
            for plan in plans:
                assert_cheap(plan, f"{name} by {sort}")
            plans.clear()


def test_what_is_alike_and_comes_last_is_found_without_reading_the_rest(
    sql: Sql, plans: list[Plan]
):
    sql("TRUNCATE product CASCADE")
    sql(FILL_BY_KIND)
    sql("VACUUM ANALYZE product, stock")

    for (name, filters), sort in itertools.product(FILTERS_BY_KIND.items(), SORTS):
        cursor = None
        for _ in range(3):
            page = products.list_products(limit=LIMIT, sort=sort, cursor=cursor, **filters)
            cursor = page.next_cursor
            if cursor is None:
                break
        for plan in plans:
            assert_cheap(plan, f"{name} by {sort}")
        plans.clear()


PLAIN = f"""
    SELECT sku FROM product JOIN stock ON product_id = product.id
    WHERE archived_at IS NULL AND search @@ to_tsquery('simple', %s) IS NOT FALSE
        AND price BETWEEN coalesce(%s, 0) AND coalesce(%s, price)
        AND quantity BETWEEN coalesce(%s, 0) AND coalesce(%s, quantity)
    ORDER BY {{sort}} {{way}}, product.id {{way}} LIMIT {3 * LIMIT}
"""
IN_STOCK: dict[Any, dict[str, int]] = {True: {"min_stock": 1}, False: {"max_stock": 0}}


def test_every_list_is_what_a_plain_query_gives(sql: Sql):
    """However a page is found: along the index of its order, or by those of its filters."""
    for name, filters in FILTERS.items():
        given = {**filters, **IN_STOCK.get(filters.get("in_stock"), {})}
        words = " & ".join(f"'{word}':*" for word in given.get("q", "").split())
        if "-" in words:
            continue  # is split by another rule than this
        bounds = [given.get(name) for name in ("min_price", "max_price", "min_stock", "max_stock")]
        for sort in SORTS[1:]:
            column = sort.strip("-").replace("stock", "quantity")
            plain = PLAIN.format(sort=column, way="DESC" if "-" in sort else "ASC")
            wanted = [sku for (sku,) in sql(plain, words or None, *bounds)]
            found: list[str] = []
            cursor = None
            for _ in range(3):
                page = products.list_products(limit=LIMIT, sort=sort, cursor=cursor, **filters)
                found += [one.sku for one in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break

            assert wanted == found, f"{name} by {sort}"


def test_what_is_called_so_comes_before_what_is_only_told_of(sql: Sql):
    sql("UPDATE product SET description = 'For a lamp' WHERE sku LIKE '%99'")
    found: list[Product] = []
    cursor = None
    while True:
        page = products.list_products(limit=100, q="lamp", cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    called = ["Lamp" in one.name for one in found]
    assert called == sorted(called, reverse=True)
    for one_list in (found[: sum(called)], found[sum(called) :]):
        ages = [(one.created_at, one.id) for one in one_list]
        assert ages == sorted(ages, reverse=True)
        assert ages
    counted = sql(
        "SELECT count(*) FROM product WHERE archived_at IS NULL AND"
        " (name LIKE '%Lamp' OR description LIKE '%lamp')"
    )
    assert counted == [(len(found),)]
