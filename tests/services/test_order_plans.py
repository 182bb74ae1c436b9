"""Query plans of order lists: a page reads a bounded number of rows from an index."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from database.transactions import autocommit
from domain.actor import ADMIN, CLIENT, Actor
from domain.order_status import STATUSES
from services import orders
from services.orders import OrderFilters
from tests.support.database import Sql
from tests.support.query_plans import Plan, record_plans, rows_read, sequential_scans
from tests.support.services import make_actor

ORDERS = 30_000
USERS = 300
LIMIT = 20
QUARTERS = 2  # the number of quarters of a year in which the orders were created, at most
TOTAL_LENGTHS = 6  # the number of different lengths of a total in digits, at most

# A shop that has existed for long: nearly all orders are finished, and only new ones are open.
FILL = f"""
    INSERT INTO users SELECT gen_random_uuid(), 'u' || n || '@example.com', 'U', '', 'CLIENT', true,
        now(), now() FROM generate_series(1, {USERS}) AS n;
    INSERT INTO orders (id, number, user_id, status, currency, total, version, created_at,
        updated_at)
    SELECT gen_random_uuid(), 'ORD-' || lpad(to_hex(n), 8, '0'), buyer.id,
        CASE WHEN n > {ORDERS} - 100 THEN 'PENDING' WHEN n > {ORDERS} - 200 THEN 'PAID'
            WHEN n % 50 = 0 THEN 'CANCELLED' ELSE 'DELIVERED' END,
        'EUR', (n * 7919) % 100003, 1, at, at
    FROM generate_series(1, {ORDERS}) AS n
    JOIN (SELECT id, row_number() OVER () AS number FROM users) AS buyer
        ON buyer.number = n % {USERS} + 1
    CROSS JOIN LATERAL (SELECT now() - ({ORDERS} - n) * interval '1 minute' AS at) AS moment;
    INSERT INTO product (id, sku, name, description, price, version, created_at, updated_at)
    VALUES (gen_random_uuid(), 'A', 'A', '', 1, 1, now(), now());
    INSERT INTO order_item SELECT orders.id, product.id, 1, 'A', 'A', total, 1 FROM orders, product;
"""

FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "a common status": {"statuses": ["DELIVERED"]},
    "a rare status": {"statuses": ["PENDING"]},
    "a status without orders": {"statuses": ["RETURNED"]},
    "two rare statuses": {"statuses": ["PENDING", "PAID"]},
    "a common and a rare status": {"statuses": ["DELIVERED", "PAID"]},
    "one customer": {"user_id": True},
    "one customer and two statuses": {"user_id": True, "statuses": ["PENDING", "CANCELLED"]},
    "from a time on": {"created_from": "now() - interval '1 hour'"},
    "up to a time": {"created_to": "now() - interval '20 days'"},
    "between two times": {
        "created_from": "now() - interval '40 minutes'",
        "created_to": "now() - interval '20 minutes'",
    },
    "from a total on": {"min_total": 99_990},
    "up to a total": {"max_total": 10},
    "between two totals": {"min_total": 40_000, "max_total": 60_000},
    "from a total on, between two times": {
        "created_from": "now() - interval '9 days'",
        "created_to": "now() - interval '2 days'",
        "min_total": 50_000,
    },
    "a number": {"number": "ORD-00000-1"},
}


PAGES = 3
REFERENCE_QUERY = f"""
    SELECT id FROM orders
    WHERE status = ANY (coalesce(%s::text[], ARRAY[status]))
        AND user_id = coalesce(%s::uuid, user_id)
        AND created_at >= coalesce(%s::timestamptz, created_at) AND total >= coalesce(%s, total)
        AND created_at < coalesce(%s::timestamptz, 'infinity') AND total <= coalesce(%s, total)
    ORDER BY {{sort}} {{direction}}, id {{direction}} LIMIT {PAGES * LIMIT}
"""

BOUNDED_COLUMNS = {
    "created_from": "created_at",
    "min_total": "total",
    "created_to": "created_at",
    "max_total": "total",
}


@pytest.fixture
def many_orders(sql: Sql) -> None:
    sql(FILL)
    for table in ("users", "product", "orders", "order_item"):
        sql(f"VACUUM ANALYZE {table}")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Collect the query plans of the statements that the test runs."""
    return record_plans(monkeypatch, "orders")


def test_a_page_reads_a_bounded_number_of_rows_for_every_filter_and_sort_order(
    many_orders: None, plans: list[Plan], sql: Sql
):
    assert sql("SHOW enable_seqscan") == [("on",)]
    buyer: UUID = UUID(str(sql("SELECT id FROM users LIMIT 1")[0][0]))
    client, admin = make_actor(buyer, CLIENT), make_actor(buyer, ADMIN)
    for case, filters in FILTERS.items():
        values = {name: evaluate(sql, value) for name, value in filters.items()}
        if "user_id" in values:
            values["user_id"] = buyer
        if "number" in values:
            values["number"] = sql("SELECT number FROM orders OFFSET 5000 LIMIT 1")[0][0]
        for sort in ("created_at", "-created_at", "total", "-total"):
            for actor in (admin, client):
                plans.clear()
                read_two_pages(actor, sort, values)
                assert plans
                for plan in plans:
                    assert_bounded(
                        plan, f"{case} by {sort} for {actor.role}", max_rows(actor, sort, values)
                    )


def test_every_list_equals_the_result_of_a_reference_query(many_orders: None, sql: Sql):
    """A page is merged from parts: by status, quarter, or length of the total in digits."""
    admin = make_actor(UUID(int=1), ADMIN)
    for case, filters in FILTERS.items():
        values = {name: evaluate(sql, value) for name, value in filters.items()}
        if "user_id" in values:
            values["user_id"] = sql("SELECT id FROM users LIMIT 1")[0][0]
        if "number" in values:
            continue  # finds one order at most
        for sort in ("created_at", "-created_at", "total", "-total"):
            query = REFERENCE_QUERY.format(
                sort=sort.strip("-"), direction="DESC" if "-" in sort else "ASC"
            )
            expected = sql(query, *map(values.get, ("statuses", "user_id", *BOUNDED_COLUMNS)))
            found: list[UUID] = []
            cursor = None
            for _ in range(PAGES):
                page = orders.list_orders(
                    actor=admin,
                    limit=LIMIT,
                    sort=sort,
                    cursor=cursor,
                    filters=OrderFilters(**values),
                )
                found += [order.id for order in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break

            assert [str(id_) for (id_,) in expected] == list(map(str, found)), f"{case} by {sort}"


@autocommit
def read_two_pages(actor: Actor, sort: str, values: dict[str, Any]) -> None:
    """Read the first and the second page."""
    filters = OrderFilters(**values)
    page = orders.list_orders(actor=actor, limit=LIMIT, sort=sort, filters=filters)
    if page.next_cursor is not None:
        orders.list_orders(
            actor=actor, limit=LIMIT, sort=sort, cursor=page.next_cursor, filters=filters
        )


def assert_bounded(plan: Plan, case: str, limit: int) -> None:
    rows = rows_read(plan, "orders")
    assert [] == sequential_scans(plan, "orders"), f"{case}: {plan}"
    assert rows <= limit, f"{case}: {rows} rows, {plan}"


def max_rows(actor: Actor, sort: str, values: dict[str, Any]) -> int:
    """Return how many rows a page may read."""
    page = 2 * len(STATUSES) * (LIMIT + 1)  # one page of each status, and the page itself
    if actor.role == CLIENT or "user_id" in values:
        return page + ORDERS // USERS  # reads all orders of the customer
    parts = page * QUARTERS if sort.endswith("total") else page
    bounded = {BOUNDED_COLUMNS[name] for name in values.keys() & BOUNDED_COLUMNS.keys()}
    if bounded - {sort.removeprefix("-")}:
        # In the first and the last quarter (or length of the total), rows outside the bounds are
        # read and filtered out. If the bounded range has fewer rows, all of them are read instead.
        return parts * TOTAL_LENGTHS + ORDERS // 20
    return parts


def evaluate(sql: Sql, value: Any) -> Any:
    """Evaluate a filter's value in PostgreSQL if it is a time relative to now."""
    return sql(f"SELECT {value}")[0][0] if str(value).startswith("now()") else value
