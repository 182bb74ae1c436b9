"""Lists of orders are read from indexes, page by page, however many orders there are."""

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
QUARTERS = 2  # that the orders may be from
SIZES = 6  # in digits, that their totals have

# What old shops look like: nearly all is over, and what is under way is young.
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
    JOIN (SELECT id, row_number() OVER () AS place FROM users) AS buyer
        ON buyer.place = n % {USERS} + 1
    CROSS JOIN LATERAL (SELECT now() - ({ORDERS} - n) * interval '1 minute' AS at) AS moment;
    INSERT INTO product (id, sku, name, description, price, version, created_at, updated_at)
    VALUES (gen_random_uuid(), 'A', 'A', '', 1, 1, now(), now());
    INSERT INTO order_item SELECT orders.id, product.id, 1, 'A', 'A', total, 1 FROM orders, product;
"""

FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "a common status": {"statuses": ["DELIVERED"]},
    "a rare status": {"statuses": ["PENDING"]},
    "a status that none has": {"statuses": ["RETURNED"]},
    "two rare statuses": {"statuses": ["PENDING", "PAID"]},
    "a common and a rare status": {"statuses": ["DELIVERED", "PAID"]},
    "one person's": {"user_id": True},
    "one person's of two statuses": {"user_id": True, "statuses": ["PENDING", "CANCELLED"]},
    "since": {"created_from": "now() - interval '1 hour'"},
    "until": {"created_to": "now() - interval '20 days'"},
    "a month": {
        "created_from": "now() - interval '40 minutes'",
        "created_to": "now() - interval '20 minutes'",
    },
    "from a total on": {"min_total": 99_990},
    "up to a total": {"max_total": 10},
    "between two totals": {"min_total": 40_000, "max_total": 60_000},
    "from a total on, of a week": {
        "created_from": "now() - interval '9 days'",
        "created_to": "now() - interval '2 days'",
        "min_total": 50_000,
    },
    "a number": {"number": "ORD-00000-1"},
}


PAGES = 3
PLAIN = f"""
    SELECT id FROM orders
    WHERE status = ANY (coalesce(%s::text[], ARRAY[status]))
        AND user_id = coalesce(%s::uuid, user_id)
        AND created_at >= coalesce(%s::timestamptz, created_at) AND total >= coalesce(%s, total)
        AND created_at < coalesce(%s::timestamptz, 'infinity') AND total <= coalesce(%s, total)
    ORDER BY {{sort}} {{way}}, id {{way}} LIMIT {PAGES * LIMIT}
"""

WINDOWS = {
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


def test_no_list_reads_more_than_its_page(many_orders: None, plans: list[Plan], sql: Sql):
    assert sql("SHOW enable_seqscan") == [("on",)]
    buyer: UUID = UUID(str(sql("SELECT id FROM users LIMIT 1")[0][0]))
    client, admin = make_actor(buyer, CLIENT), make_actor(buyer, ADMIN)
    for name, filters in FILTERS.items():
        given = {one: moment(sql, value) for one, value in filters.items()}
        if "user_id" in given:
            given["user_id"] = buyer
        if "number" in given:
            given["number"] = sql("SELECT number FROM orders OFFSET 5000 LIMIT 1")[0][0]
        for sort in ("created_at", "-created_at", "total", "-total"):
            for actor in (admin, client):
                plans.clear()
                look(actor, sort, given)
                for plan in plans:
                    case = f"{name} by {sort} for {actor.role}"
                    check(plan, case, most_rows(actor, sort, given))


def test_every_list_is_what_a_plain_query_gives(many_orders: None, sql: Sql):
    """However a page is put together, by status, month or size of the total."""
    admin = make_actor(UUID(int=1), ADMIN)
    for name, filters in FILTERS.items():
        given = {one: moment(sql, value) for one, value in filters.items()}
        if "user_id" in given:
            given["user_id"] = sql("SELECT id FROM users LIMIT 1")[0][0]
        if "number" in given:
            continue  # of one order there is one order
        for sort in ("created_at", "-created_at", "total", "-total"):
            plain = PLAIN.format(sort=sort.strip("-"), way="DESC" if "-" in sort else "ASC")
            wanted = sql(plain, *map(given.get, ("statuses", "user_id", *WINDOWS)))
            found: list[UUID] = []
            cursor = None
            for _ in range(PAGES):
                page = orders.list_orders(
                    actor=admin,
                    limit=LIMIT,
                    sort=sort,
                    cursor=cursor,
                    filters=OrderFilters(**given),
                )
                found += [order.id for order in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break

            assert [str(one) for (one,) in wanted] == list(map(str, found)), f"{name} by {sort}"


@autocommit
def look(actor: Actor, sort: str, given: dict[str, Any]) -> None:
    """Read the first page and the one after it."""
    filters = OrderFilters(**given)
    page = orders.list_orders(actor=actor, limit=LIMIT, sort=sort, filters=filters)
    if page.next_cursor is not None:
        orders.list_orders(
            actor=actor, limit=LIMIT, sort=sort, cursor=page.next_cursor, filters=filters
        )


def check(plan: dict[str, Any], case: str, most: int) -> None:
    rows = rows_read(plan, "orders")
    assert [] == sequential_scans(plan, "orders"), f"{case}: {plan}"
    assert rows <= most, f"{case}: {rows} rows, {plan}"


def most_rows(actor: Actor, sort: str, given: dict[str, Any]) -> int:
    """Return how many rows may be looked at for one page."""
    page = 2 * len(STATUSES) * (LIMIT + 1)  # at most a page of each status, and those chosen
    if actor.role == CLIENT or "user_id" in given:
        return page + ORDERS // USERS  # one person's orders are read whole
    parts = page * QUARTERS if sort.endswith("total") else page
    windows = {WINDOWS[name] for name in given.keys() & WINDOWS.keys()}
    if windows - {sort.removeprefix("-")}:
        # In the quarters or sizes at the ends of a window, those outside of it are passed over, or
        # the window is read whole where it is the smaller.
        return parts * SIZES + ORDERS // 20
    return parts


def moment(sql: Sql, value: Any) -> Any:
    return sql(f"SELECT {value}")[0][0] if str(value).startswith("now()") else value
