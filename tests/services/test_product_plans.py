"""Query plans of the catalogue: a page reads a bounded number of rows from an index."""

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
# Each row of the two tables costs up to five buffers, with the index pages that lead to it.
MAX_BUFFERS = 5 * 7_500
# A filter that matches one row in 150 is the most expensive: filling a page of 20 reads some
# thousand rows, whatever the size of the table.
MAX_ROWS = 7_500

# A large shop, nearly sold out. Every 25th product is expensive; 20 products have a rare word.
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

# A shop that was filled kind by kind, as from the lists of suppliers: products of one kind have
# similar names, prices and creation times. Only the last kind is in stock; one word is new.
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
    "a word in a quarter of the names": {"q": "lamp"},
    "a rare word": {"q": "unobtainable"},
    "the beginning of a rare word": {"q": "unob"},
    "two words, one of them rare": {"q": "ceramic unob"},
    "two common words": {"q": "ceramic lamp"},
    "three common words": {"q": "ceramic use home"},
    "a word without matches": {"q": "zeppelin"},
    "a sku": {"q": "sku-12345"},
    "in stock, which is rare": {"in_stock": True},
    "sold out, which is common": {"in_stock": False},
    "much in stock": {"min_stock": 50},
    "running low": {"min_stock": 1, "max_stock": 5},
    "a rare word in stock": {"q": "unob", "in_stock": True},
    "a common word in stock": {"q": "ceramic", "in_stock": True},
    "cheap": {"max_price": 50},
    "expensive": {"min_price": 125_000},
    "a range of prices": {"min_price": 5_000, "max_price": 5_100},
}
FILTERS_BY_KIND: dict[str, dict[str, Any]] = {
    "a kind": {"q": "zester"},
    "another kind": {"q": "apron"},
    "a kind in stock": {"q": "zester", "in_stock": True},
    "a new word": {"q": "just"},
    "in stock": {"in_stock": True},
    "running low": {"min_stock": 1, "max_stock": 5},
    "expensive": {"min_price": 20_000},
    "cheap": {"max_price": 1_999},
    "two filters without a common match": {"q": "apron", "min_price": 20_000},
}
SORTS = ["relevance", "name", "-name", "price", "-price", "created_at", "-created_at", "stock"]


@pytest.fixture(autouse=True)
def many_products(shop: str, sql: Sql) -> None:
    del shop
    sql(FILL.replace("%%", "%"))
    # Autovacuum does this later anyway, and it changes the planner's estimates for the GIN index.
    sql("VACUUM ANALYZE product, stock")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Collect the query plans of the statements that the test runs."""
    return record_plans(monkeypatch, "product", "stock")


def assert_bounded(plan: Plan, case: str) -> None:
    rows, buffers = rows_read(plan), buffers_read(plan)
    assert [] == sequential_scans(plan), f"{case}: {plan}"
    assert rows <= MAX_ROWS, f"{case}: {rows} rows, {plan}"
    assert buffers <= MAX_BUFFERS, f"{case}: {buffers} buffers, {plan}"


@autocommit
def read_pages(sort: str, filters: dict[str, Any], deep_cursor: str) -> None:
    """Read the first page, the second page, and a page deep in the list."""
    page: Page[Product] = products.list_products(limit=LIMIT, sort=sort, **filters)
    for cursor in {page.next_cursor, deep_cursor} - {None}:
        products.list_products(limit=LIMIT, sort=sort, cursor=cursor, **filters)


def test_a_page_reads_a_bounded_number_of_rows_for_every_filter_and_sort_order(plans: list[Plan]):
    for sort in SORTS:
        page = products.list_products(limit=100, sort=sort)
        for _ in range(20):
            page = products.list_products(limit=100, sort=sort, cursor=page.next_cursor)
        assert page.next_cursor is not None
        plans.clear()
        for name, filters in FILTERS.items():
            read_pages(sort, filters, page.next_cursor)
            assert plans
            for plan in plans:
                assert_bounded(plan, f"{name} by {sort}")
            plans.clear()


def test_matches_at_the_end_of_a_sort_order_are_found_without_reading_all_rows(
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
        assert plans
        for plan in plans:
            assert_bounded(plan, f"{name} by {sort}")
        plans.clear()


REFERENCE_QUERY = f"""
    SELECT sku FROM product JOIN stock ON product_id = product.id
    WHERE archived_at IS NULL AND search @@ to_tsquery('simple', %s) IS NOT FALSE
        AND price BETWEEN coalesce(%s, 0) AND coalesce(%s, price)
        AND quantity BETWEEN coalesce(%s, 0) AND coalesce(%s, quantity)
    ORDER BY {{sort}} {{direction}}, product.id {{direction}} LIMIT {3 * LIMIT}
"""
IN_STOCK: dict[Any, dict[str, int]] = {True: {"min_stock": 1}, False: {"max_stock": 0}}


def test_every_list_equals_the_result_of_a_reference_query(sql: Sql):
    """A page is read from the index of its sort order, or from an index of its filters."""
    for name, filters in FILTERS.items():
        values = {**filters, **IN_STOCK.get(filters.get("in_stock"), {})}
        words = " & ".join(f"'{word}':*" for word in values.get("q", "").split())
        if "-" in words:
            continue  # to_tsquery splits such a word differently
        bounds = [values.get(name) for name in ("min_price", "max_price", "min_stock", "max_stock")]
        for sort in SORTS[1:]:
            column = sort.strip("-").replace("stock", "quantity")
            query = REFERENCE_QUERY.format(sort=column, direction="DESC" if "-" in sort else "ASC")
            expected = [sku for (sku,) in sql(query, words or None, *bounds)]
            found: list[str] = []
            cursor = None
            for _ in range(3):
                page = products.list_products(limit=LIMIT, sort=sort, cursor=cursor, **filters)
                found += [product.sku for product in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break

            assert expected == found, f"{name} by {sort}"


def test_matches_in_the_name_come_before_matches_in_the_description(sql: Sql):
    sql("UPDATE product SET description = 'For a lamp' WHERE sku LIKE '%99'")
    found: list[Product] = []
    cursor = None
    while True:
        page = products.list_products(limit=100, q="lamp", cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    in_name = ["Lamp" in product.name for product in found]
    assert in_name == sorted(in_name, reverse=True)
    for group in (found[: sum(in_name)], found[sum(in_name) :]):
        ages = [(product.created_at, product.id) for product in group]
        assert ages == sorted(ages, reverse=True)
        assert ages
    total = sql(
        "SELECT count(*) FROM product WHERE archived_at IS NULL AND"
        " (name LIKE '%Lamp' OR description LIKE '%lamp')"
    )
    assert total == [(len(found),)]
