"""Unpaid orders are cancelled after a time limit, once each, by any number of workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from uuid import UUID

import psycopg2
import pytest
from peewee import PeeweeException

from domain.actor import Actor
from services import orders, process, products
from services.order_transitions import EXPIRY_BATCH_ORDERS
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")


def place(actor: Actor, product_id: UUID, quantity: int = 1) -> orders.Order:
    return orders.create_order(
        actor=actor, items=[(product_id, quantity)], idempotency_key=None
    ).order


@pytest.fixture
def age_orders(sql: Sql) -> Callable[[int], None]:
    """Return a function that makes all orders and their events older by some minutes."""

    def age_orders(minutes: int) -> None:
        for table in ("orders", "order_event"):
            sql(f"UPDATE {table} SET created_at = created_at - %s * interval '1 minute'", minutes)

    return age_orders


def test_an_order_that_is_not_paid_in_time_is_cancelled_by_the_system(
    client: Actor, anonymous: Actor, add_product: AddProduct, age_orders: Callable[[int], None]
):
    mug = add_product(5)
    order = place(client, mug.id, 2)
    age_orders(59)
    assert orders.expire_orders(actor=anonymous) == 0
    age_orders(1)

    assert orders.expire_orders(actor=anonymous) == 1

    expired = orders.get_order(actor=client, order_id=order.id)
    assert (expired.status, expired.version) == ("CANCELLED", 2)
    assert products.get_product(product_id=mug.id).stock == 5
    last = orders.list_order_events(actor=client, order_id=order.id, limit=9).items[-1]
    assert ("PENDING", "CANCELLED", "SYSTEM", None, "request-1") == (
        last.from_status,
        last.to_status,
        last.actor_kind,
        last.actor_user_id,
        last.request_id,
    )
    assert last.reason == "Not paid within 60 minutes."
    assert orders.expire_orders(actor=anonymous) == 0


def test_only_pending_orders_expire(
    admin: Actor,
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
):
    mug = add_product(10)
    transitions = {
        "PAID": ["PAID"],
        "SHIPPED": ["PAID", "SHIPPED"],
        "DELIVERED": ["PAID", "SHIPPED", "DELIVERED"],
        "CANCELLED": ["CANCELLED"],
        "RETURNED": ["PAID", "SHIPPED", "DELIVERED", "RETURNED"],
    }
    for statuses in transitions.values():
        order = place(client, mug.id)
        for status in statuses:
            orders.update_order_status(
                actor=admin,
                order_id=order.id,
                status=status,
                tracking_number=None,
                expected_versions=None,
            )
    age_orders(10_000)

    assert orders.expire_orders(actor=anonymous) == 0
    assert sorted(transitions) == sorted(
        order.status for order in orders.list_orders(actor=admin, limit=9).items
    )


def test_the_time_limit_can_be_configured_and_switched_off(
    client: Actor, anonymous: Actor, add_product: AddProduct, age_orders: Callable[[int], None]
):
    place(client, add_product().id)
    age_orders(1000)

    process.bind(replace(configuration(), order_expiry_minutes=0))
    assert orders.expire_orders(actor=anonymous) == 0
    process.bind(replace(configuration(), order_expiry_minutes=1001))
    assert orders.expire_orders(actor=anonymous) == 0
    process.bind(replace(configuration(), order_expiry_minutes=1000))
    assert orders.expire_orders(actor=anonymous) == 1


def test_concurrent_workers_expire_every_order_once(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
    sql: Sql,
):
    product_ids = [add_product(1000).id for _ in range(3)]
    count = 2 * EXPIRY_BATCH_ORDERS + 50
    for number in range(count):
        place(client, product_ids[number % 3])
    age_orders(61)

    def worker() -> int:
        total = 0
        while expired := orders.expire_orders(actor=anonymous):
            total += expired
        return total

    expired_counts = run_concurrently(*[worker] * 6)
    # A worker stops when all remaining orders are locked by others; the last run gets the rest.
    expired_counts.append(worker())

    assert sum(expired_counts) == count
    assert sql("SELECT status, version, count(*) FROM orders GROUP BY 1, 2") == [
        ("CANCELLED", 2, count)
    ]
    assert [1000] * 3 == [
        products.get_product(product_id=product_id).stock for product_id in product_ids
    ]


def test_an_order_that_another_transaction_has_locked_is_skipped(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
    database_url: str,
):
    mug = add_product()
    locked, free = place(client, mug.id), place(client, mug.id)
    age_orders(61)
    locking = psycopg2.connect(database_url)
    locking.cursor().execute(
        "SELECT FROM orders WHERE id = %s FOR NO KEY UPDATE", (str(locked.id),)
    )

    assert orders.expire_orders(actor=anonymous) == 1

    locking.rollback()
    locking.close()
    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.expire_orders(actor=anonymous) == 1


def test_an_order_with_locked_stock_does_not_delay_other_orders(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
    database_url: str,
):
    locked_product, mug = add_product(), add_product()
    locked, free = place(client, locked_product.id), place(client, mug.id)
    age_orders(61)
    locking = psycopg2.connect(database_url)
    locking.cursor().execute(
        "SELECT FROM stock WHERE product_id = %s FOR UPDATE", (str(locked_product.id),)
    )

    assert orders.expire_orders(actor=anonymous) == 1

    locking.rollback()
    locking.close()
    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.get_order(actor=client, order_id=locked.id).status == "PENDING"
    assert orders.expire_orders(actor=anonymous) == 1


def test_a_full_batch_of_orders_with_locked_stock_does_not_delay_other_orders(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
    database_url: str,
):
    """The worker waits for the locked stock once, not once for each order."""
    locked_product, mug = add_product(1000), add_product()
    for _ in range(EXPIRY_BATCH_ORDERS):
        place(client, locked_product.id)
    both = orders.create_order(
        actor=client, items=[(mug.id, 1), (locked_product.id, 1)], idempotency_key=None
    ).order
    free = place(client, mug.id)
    age_orders(61)
    with closing(psycopg2.connect(database_url)) as locking:
        locking.cursor().execute(
            "SELECT FROM stock WHERE product_id = %s FOR UPDATE", (str(locked_product.id),)
        )

        assert orders.expire_orders(actor=anonymous) == 1

    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.get_order(actor=client, order_id=both.id).status == "PENDING"
    assert orders.expire_orders(actor=anonymous) == EXPIRY_BATCH_ORDERS
    assert orders.expire_orders(actor=anonymous) == 1


def test_a_full_batch_of_orders_that_cannot_be_cancelled_does_not_delay_other_orders(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age_orders: Callable[[int], None],
    sql: Sql,
):
    full, mug = add_product(500), add_product(5)
    stuck = [place(client, full.id) for _ in range(EXPIRY_BATCH_ORDERS)]
    other = place(client, mug.id)
    age_orders(61)
    sql("UPDATE stock SET quantity = 2147483647 WHERE product_id = %s", str(full.id))

    with pytest.raises(PeeweeException):
        orders.expire_orders(actor=anonymous)

    assert orders.get_order(actor=client, order_id=stuck[0].id).status == "PENDING"
    assert orders.get_order(actor=client, order_id=other.id).status == "CANCELLED"
    sql("UPDATE stock SET quantity = 400 WHERE product_id = %s", str(full.id))
    assert orders.expire_orders(actor=anonymous) == EXPIRY_BATCH_ORDERS
