"""The audit is silent about a sound shop, and names everything that is wrong with another."""

from __future__ import annotations

from uuid import UUID

import pytest

from database.binding import database
from domain.actor import Actor
from services import orders
from services.audit import audit
from services.orders import Order
from tests.support.services import AddProduct


@pytest.fixture
def order(admin: Actor, client: Actor, add_product: AddProduct) -> Order:
    """A paid order in a shop with some life in it."""
    mug, lamp = add_product(10, 1990), add_product(10, 500)
    kept, cancelled, returned = (
        orders.create_order(
            actor=client, items=[(mug.id, 2), (lamp.id, 1)], idempotency_key=key
        ).order
        for key in ("k1", "k2", None)
    )
    for one, statuses in (
        (kept, ["PAID"]),
        (cancelled, ["CANCELLED"]),
        (returned, ["PAID", "SHIPPED", "DELIVERED", "RETURNED"]),
    ):
        for status in statuses:
            orders.update_order_status(
                actor=admin,
                order_id=one.id,
                status=status,
                tracking_number=None,
                expected_versions=None,
            )
    return orders.get_order(actor=admin, order_id=kept.id)


def product_of(order: Order) -> UUID:
    return order.items[0].product_id


CORRUPTIONS: dict[str, tuple[str, set[str]]] = {
    "negative stock": (
        "ALTER TABLE stock DROP CONSTRAINT stock_not_negative;"
        "UPDATE stock SET quantity = -1 WHERE product_id = {product}",
        {"stock is not negative", "stock is the sum of its movements"},
    ),
    "no stock": (
        "DELETE FROM stock WHERE product_id = {product}",
        {"every product has a stock"},
    ),
    "stock without a movement": (
        "UPDATE stock SET quantity = quantity + 1 WHERE product_id = {product}",
        {"stock is the sum of its movements"},
    ),
    "an initial movement gone": (
        "DELETE FROM stock_movement WHERE kind = 'INITIAL' AND product_id = {product}",
        {"stock is the sum of its movements"},
    ),
    "another total": (
        "UPDATE orders SET total = total + 1 WHERE id = {order}",
        {"an order's total is the sum of its lines"},
    ),
    "another quantity": (
        "UPDATE order_item SET quantity = quantity + 1 WHERE order_id = {order}",
        {
            "an order's total is the sum of its lines",
            "orders hold their units until cancelled or returned, then give them back once",
            "every line's units were taken once",
        },
    ),
    "no lines": (
        "DELETE FROM order_item WHERE order_id = {order}",
        {
            "an order's total is the sum of its lines",
            "orders hold their units until cancelled or returned, then give them back once",
        },
    ),
    "units given back by a live order": (
        "INSERT INTO stock_movement SELECT gen_random_uuid(), product_id, 'RELEASE', -delta,"
        " quantity_after - delta, order_id, actor_user_id, reason, request_id, now()"
        " FROM stock_movement WHERE kind = 'ORDER' AND order_id = {order};"
        "UPDATE stock SET quantity = stock.quantity + order_item.quantity FROM order_item"
        " WHERE order_item.product_id = stock.product_id AND order_id = {order}",
        {"orders hold their units until cancelled or returned, then give them back once"},
    ),
    "units never given back": (
        "DELETE FROM stock_movement WHERE kind = 'RELEASE' AND product_id = {product};"
        "UPDATE stock SET quantity = quantity - 2 WHERE product_id = {product}",
        {"orders hold their units until cancelled or returned, then give them back once"},
    ),
    "units never taken": (
        "DELETE FROM stock_movement WHERE kind = 'ORDER' AND order_id = {order};"
        "UPDATE stock SET quantity = stock.quantity + order_item.quantity FROM order_item"
        " WHERE order_item.product_id = stock.product_id AND order_id = {order}",
        {
            "orders hold their units until cancelled or returned, then give them back once",
            "every line's units were taken once",
        },
    ),
    "a status without an event": (
        "UPDATE orders SET status = 'SHIPPED' WHERE id = {order}",
        {"an order has the status of its last event, and a version for each"},
    ),
    "a version without an event": (
        "UPDATE orders SET version = version + 1 WHERE id = {order}",
        {"an order has the status of its last event, and a version for each"},
    ),
    "a step that is not allowed": (
        "UPDATE order_event SET to_status = 'DELIVERED'"
        " WHERE order_id = {order} AND to_status = 'PAID';"
        "UPDATE orders SET status = 'DELIVERED' WHERE id = {order}",
        {"a status is reached only by allowed transitions"},
    ),
    "a step from where the order was not": (
        "UPDATE order_event SET from_status = 'SHIPPED'"
        " WHERE order_id = {order} AND to_status = 'PAID'",
        {"a status is reached only by allowed transitions"},
    ),
    "a step that the shop itself may not take": (
        "UPDATE order_event SET actor_kind = 'SYSTEM', actor_user_id = NULL"
        " WHERE order_id = {order} AND to_status = 'PAID'",
        {"a status is reached only by allowed transitions"},
    ),
    "an order that nobody has placed": (
        "UPDATE order_event SET actor_kind = 'SYSTEM', actor_user_id = NULL"
        " WHERE order_id = {order} AND type = 'PLACED'",
        {"a status is reached only by allowed transitions"},
    ),
    "no first event": (
        "DELETE FROM order_event WHERE order_id = {order} AND type = 'PLACED'",
        {
            "a status is reached only by allowed transitions",
            "an order has the status of its last event, and a version for each",
        },
    ),
    "no events": (
        "DELETE FROM order_event WHERE order_id = {order}",
        {"an order has the status of its last event, and a version for each"},
    ),
    "two keys for one order": (
        "INSERT INTO idempotency_key SELECT user_id, 'k3', fingerprint, order_id, now()"
        " FROM idempotency_key WHERE key = 'k1'",
        {"an idempotency key has placed one order of its owner"},
    ),
    "a key of somebody else": (
        "UPDATE idempotency_key SET user_id = {admin} WHERE key = 'k1'",
        {"an idempotency key has placed one order of its owner"},
    ),
}


def test_a_sound_shop_gives_no_findings(order: Order):
    assert audit() == []


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_every_corruption_is_found(order: Order, admin: Actor, database_url: str, corruption: str):
    """In a transaction of the audit's own thread, so that it is undone whatever it broke."""
    statements, invariants = CORRUPTIONS[corruption]
    names = {"product": product_of(order), "order": order.id, "admin": admin.user_id}
    with database.connection_context(), database.atomic() as transaction:
        database.execute_sql(
            statements.format(**{name: f"'{value}'" for name, value in names.items()})
        )

        findings = audit()

        assert invariants == {finding.invariant for finding in findings}
        assert all(finding.subject and finding.detail for finding in findings)
        transaction.rollback()
    assert audit() == []
