"""Orders that nobody pays for come to an end, however many workers look after them."""

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
def age(sql: Sql) -> Callable[[int], None]:
    """Make every order and what became of it so many minutes older."""

    def age(minutes: int) -> None:
        for table in ("orders", "order_event"):
            sql(f"UPDATE {table} SET created_at = created_at - %s * interval '1 minute'", minutes)

    return age


def test_an_order_that_is_not_paid_for_in_time_is_cancelled_by_the_shop(
    client: Actor, anonymous: Actor, add_product: AddProduct, age: Callable[[int], None]
):
    mug = add_product(5)
    order = place(client, mug.id, 2)
    age(59)
    assert orders.expire_orders(actor=anonymous) == 0
    age(1)

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


def test_what_is_not_waiting_for_its_payment_does_not_expire(
    admin: Actor,
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age: Callable[[int], None],
):
    mug = add_product(10)
    ways = {
        "PAID": ["PAID"],
        "SHIPPED": ["PAID", "SHIPPED"],
        "DELIVERED": ["PAID", "SHIPPED", "DELIVERED"],
        "CANCELLED": ["CANCELLED"],
        "RETURNED": ["PAID", "SHIPPED", "DELIVERED", "RETURNED"],
    }
    for way in ways.values():
        order = place(client, mug.id)
        for status in way:
            orders.update_order_status(
                actor=admin,
                order_id=order.id,
                status=status,
                tracking_number=None,
                expected_versions=None,
            )
    age(10_000)

    assert orders.expire_orders(actor=anonymous) == 0
    assert sorted(ways) == sorted(
        order.status for order in orders.list_orders(actor=admin, limit=9).items
    )


def test_a_shop_may_wait_for_ever_or_for_as_long_as_it_likes(
    client: Actor, anonymous: Actor, add_product: AddProduct, age: Callable[[int], None]
):
    place(client, add_product().id)
    age(1000)

    process.bind(replace(configuration(), order_expiry_minutes=0))
    assert orders.expire_orders(actor=anonymous) == 0
    process.bind(replace(configuration(), order_expiry_minutes=1001))
    assert orders.expire_orders(actor=anonymous) == 0
    process.bind(replace(configuration(), order_expiry_minutes=1000))
    assert orders.expire_orders(actor=anonymous) == 1


def test_many_workers_at_once_expire_every_order_once(
    client: Actor, anonymous: Actor, add_product: AddProduct, age: Callable[[int], None], sql: Sql
):
    bought = [add_product(1000).id for _ in range(3)]
    count = 2 * EXPIRY_BATCH_ORDERS + 50
    for number in range(count):
        place(client, bought[number % 3])
    age(61)

    def worker() -> int:
        done = 0
        while expired := orders.expire_orders(actor=anonymous):
            done += expired
        return done

    done = run_concurrently(*[worker] * 6)
    # Whoever found nothing left that was free has stopped; the last one leaves nothing behind.
    done.append(worker())

    assert sum(done) == count
    assert sql("SELECT status, version, count(*) FROM orders GROUP BY 1, 2") == [
        ("CANCELLED", 2, count)
    ]
    assert [1000] * 3 == [products.get_product(product_id=one).stock for one in bought]


def test_an_order_that_somebody_is_just_moving_on_is_passed_over(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age: Callable[[int], None],
    database_url: str,
):
    mug = add_product()
    held, free = place(client, mug.id), place(client, mug.id)
    age(61)
    other = psycopg2.connect(database_url)
    other.cursor().execute("SELECT FROM orders WHERE id = %s FOR NO KEY UPDATE", (str(held.id),))

    assert orders.expire_orders(actor=anonymous) == 1

    other.rollback()
    other.close()
    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.expire_orders(actor=anonymous) == 1


def test_an_order_whose_stock_is_being_worked_on_keeps_no_other_waiting(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age: Callable[[int], None],
    database_url: str,
):
    counted, mug = add_product(), add_product()
    held, free = place(client, counted.id), place(client, mug.id)
    age(61)
    other = psycopg2.connect(database_url)
    other.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (str(counted.id),))

    assert orders.expire_orders(actor=anonymous) == 1

    other.rollback()
    other.close()
    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.get_order(actor=client, order_id=held.id).status == "PENDING"
    assert orders.expire_orders(actor=anonymous) == 1


def test_many_orders_for_locked_stock_keep_no_other_waiting(
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    age: Callable[[int], None],
    database_url: str,
):
    """More of them than are cancelled at once; and they are waited for once, not one by one."""
    counted, mug = add_product(1000), add_product()
    for _ in range(EXPIRY_BATCH_ORDERS):
        place(client, counted.id)
    both = orders.create_order(
        actor=client, items=[(mug.id, 1), (counted.id, 1)], idempotency_key=None
    ).order
    free = place(client, mug.id)
    age(61)
    with closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute(
            "SELECT FROM stock WHERE product_id = %s FOR UPDATE", (str(counted.id),)
        )

        assert orders.expire_orders(actor=anonymous) == 1

    assert orders.get_order(actor=client, order_id=free.id).status == "CANCELLED"
    assert orders.get_order(actor=client, order_id=both.id).status == "PENDING"
    assert orders.expire_orders(actor=anonymous) == EXPIRY_BATCH_ORDERS
    assert orders.expire_orders(actor=anonymous) == 1


def test_an_order_that_cannot_be_cancelled_keeps_no_other_waiting(
    client: Actor, anonymous: Actor, add_product: AddProduct, age: Callable[[int], None], sql: Sql
):
    full, mug = add_product(500), add_product(5)
    stuck = [place(client, full.id) for _ in range(EXPIRY_BATCH_ORDERS)]
    other = place(client, mug.id)
    age(61)
    sql("UPDATE stock SET quantity = 2147483647 WHERE product_id = %s", str(full.id))

    with pytest.raises(PeeweeException):
        orders.expire_orders(actor=anonymous)

    assert orders.get_order(actor=client, order_id=stuck[0].id).status == "PENDING"
    assert orders.get_order(actor=client, order_id=other.id).status == "CANCELLED"
    sql("UPDATE stock SET quantity = 400 WHERE product_id = %s", str(full.id))
    assert orders.expire_orders(actor=anonymous) == EXPIRY_BATCH_ORDERS
