"""The audit finds every kind of inconsistency, and nothing in a consistent shop."""

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
    """Return a paid order in a shop that also has a cancelled and a returned order."""
    mug, lamp = add_product(10, 1990), add_product(10, 500)
    paid, cancelled, returned = (
        orders.create_order(
            actor=client, items=[(mug.id, 2), (lamp.id, 1)], idempotency_key=key
        ).order
        for key in ("k1", "k2", None)
    )
    for order, statuses in (
        (paid, ["PAID"]),
        (cancelled, ["CANCELLED"]),
        (returned, ["PAID", "SHIPPED", "DELIVERED", "RETURNED"]),
    ):
        for status in statuses:
            orders.update_order_status(
                actor=admin,
                order_id=order.id,
                status=status,
                tracking_number=None,
                expected_versions=None,
            )
    return orders.get_order(actor=admin, order_id=paid.id)


def first_product_id(order: Order) -> UUID:
    return order.items[0].product_id


CORRUPTIONS: dict[str, tuple[str, set[str]]] = {
    "negative stock": (
        "ALTER TABLE stock DROP CONSTRAINT stock_not_negative;"
        "UPDATE stock SET quantity = -1 WHERE product_id = {product}",
        {"stock is not negative", "stock is the sum of its movements"},
    ),
    "no stock": (
        "DELETE FROM stock WHERE product_id = {product}",
        {"every product has a stock quantity"},
    ),
    "stock without a movement": (
        "UPDATE stock SET quantity = quantity + 1 WHERE product_id = {product}",
        {"stock is the sum of its movements"},
    ),
    "a missing initial movement": (
        "DELETE FROM stock_movement WHERE kind = 'INITIAL' AND product_id = {product}",
        {"stock is the sum of its movements"},
    ),
    "a wrong total": (
        "UPDATE orders SET total = total - 1 WHERE id = {order}",
        {"an order's total is the sum of its lines"},
    ),
    "a wrong quantity": (
        "UPDATE order_item SET quantity = quantity + 1 WHERE order_id = {order}",
        {
            "an order's total is the sum of its lines",
            "cancelled and returned orders, and no others, have returned their units once",
            "the units of every line item were taken from stock once",
        },
    ),
    "no lines": (
        "DELETE FROM order_item WHERE order_id = {order}",
        {
            "an order's total is the sum of its lines",
            "cancelled and returned orders, and no others, have returned their units once",
        },
    ),
    "units restored by an open order": (
        "INSERT INTO stock_movement SELECT gen_random_uuid(), product_id, 'RELEASE', -delta,"
        " quantity_after - delta, order_id, actor_user_id, reason, request_id, now()"
        " FROM stock_movement WHERE kind = 'ORDER' AND order_id = {order};"
        "UPDATE stock SET quantity = stock.quantity + order_item.quantity FROM order_item"
        " WHERE order_item.product_id = stock.product_id AND order_id = {order}",
        {"cancelled and returned orders, and no others, have returned their units once"},
    ),
    "units of a cancelled order that were not restored": (
        "DELETE FROM stock_movement WHERE kind = 'RELEASE' AND product_id = {product};"
        "UPDATE stock SET quantity = quantity - 2 WHERE product_id = {product}",
        {"cancelled and returned orders, and no others, have returned their units once"},
    ),
    "units of an order that were not taken from the stock": (
        "DELETE FROM stock_movement WHERE kind = 'ORDER' AND order_id = {order};"
        "UPDATE stock SET quantity = stock.quantity + order_item.quantity FROM order_item"
        " WHERE order_item.product_id = stock.product_id AND order_id = {order}",
        {
            "cancelled and returned orders, and no others, have returned their units once",
            "the units of every line item were taken from stock once",
        },
    ),
    "a status without an event": (
        "UPDATE orders SET status = 'SHIPPED' WHERE id = {order}",
        {"an order has the status of its last event, and its version is the number of events"},
    ),
    "a version without an event": (
        "UPDATE orders SET version = version + 1 WHERE id = {order}",
        {"an order has the status of its last event, and its version is the number of events"},
    ),
    "a transition that is not allowed": (
        "UPDATE order_event SET to_status = 'DELIVERED'"
        " WHERE order_id = {order} AND to_status = 'PAID';"
        "UPDATE orders SET status = 'DELIVERED' WHERE id = {order}",
        {"a status is reached only by allowed transitions"},
    ),
    "a transition from a status that the order did not have": (
        "UPDATE order_event SET from_status = 'SHIPPED'"
        " WHERE order_id = {order} AND to_status = 'PAID'",
        {"a status is reached only by allowed transitions"},
    ),
    "a transition that the system is not allowed to make": (
        "UPDATE order_event SET actor_kind = 'SYSTEM', actor_user_id = NULL"
        " WHERE order_id = {order} AND to_status = 'PAID'",
        {"a status is reached only by allowed transitions"},
    ),
    "an order placed by the system": (
        "UPDATE order_event SET actor_kind = 'SYSTEM', actor_user_id = NULL"
        " WHERE order_id = {order} AND type = 'PLACED'",
        {"a status is reached only by allowed transitions"},
    ),
    "no first event": (
        "DELETE FROM order_event WHERE order_id = {order} AND type = 'PLACED'",
        {
            "a status is reached only by allowed transitions",
            "an order has the status of its last event, and its version is the number of events",
        },
    ),
    "no events": (
        "DELETE FROM order_event WHERE order_id = {order}",
        {"an order has the status of its last event, and its version is the number of events"},
    ),
    "two idempotency keys for one order": (
        "INSERT INTO idempotency_key SELECT user_id, 'k3', fingerprint, order_id, now()"
        " FROM idempotency_key WHERE key = 'k1'",
        {"an order was placed by at most one idempotency key, of the same user"},
    ),
    "an idempotency key of another user": (
        "UPDATE idempotency_key SET user_id = {admin} WHERE key = 'k1'",
        {"an order was placed by at most one idempotency key, of the same user"},
    ),
    "money that no payment has brought": (
        "UPDATE orders SET amount_paid = amount_paid + 1 WHERE id = {order}",
        {"an order's amounts are the sums of its payments and refunds"},
    ),
    "money that no refund has returned": (
        "UPDATE payment SET amount_refunded = 1 WHERE order_id = {order};"
        "UPDATE orders SET amount_refunded = 1 WHERE id = {order}",
        {"a payment's refunded amount is the sum of its refunds, and at most its amount"},
    ),
    "a paid order that is not covered": (
        "UPDATE payment SET amount = amount - 1 WHERE order_id = {order};"
        "UPDATE orders SET amount_paid = amount_paid - 1 WHERE id = {order}",
        {"the payments of a paid order cover its total"},
    ),
    "a cancelled order that holds money": (
        "UPDATE orders SET status = 'CANCELLED' WHERE id = {order}",
        {
            "a cancelled order holds no money",
            "an order has the status of its last event, and its version is the number of events",
            "cancelled and returned orders, and no others, have returned their units once",
        },
    ),
}


def test_the_audit_finds_nothing_in_a_consistent_shop(order: Order):
    assert audit() == []


@pytest.mark.usefixtures("as_owner")  # drops constraints
@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_the_audit_finds_every_kind_of_inconsistency(
    order: Order, admin: Actor, database_url: str, corruption: str
):
    """The audit joins this transaction, which is then rolled back, whatever it changed."""
    statements, invariants = CORRUPTIONS[corruption]
    ids = {"product": first_product_id(order), "order": order.id, "admin": admin.user_id}
    with database.connection_context(), database.atomic() as transaction:
        database.execute_sql(
            statements.format(**{name: f"'{value}'" for name, value in ids.items()})
        )

        findings = audit()

        assert invariants == {finding.invariant for finding in findings}
        assert all(finding.subject and finding.detail for finding in findings)
        transaction.rollback()
    assert audit() == []
