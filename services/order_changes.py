"""Changes of an order, each with its event on the timeline. The caller has locked the order.

Each event increments the order's version, so that clients can detect the change by its ETag.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from domain import mail, order_status
from domain.actor import Actor
from models import order as orders
from models import order_event, placement
from models.order import Order
from services import mails

PERSON = "PERSON"
SYSTEM = "SYSTEM"
PROVIDER = "PROVIDER"

PAYMENT_CREATED = "PAYMENT_CREATED"
PAYMENT_SUCCEEDED = "PAYMENT_SUCCEEDED"
PAYMENT_FAILED = "PAYMENT_FAILED"
PAYMENT_CANCELED = "PAYMENT_CANCELED"
PAYMENT_MISMATCHED = "PAYMENT_MISMATCHED"
PAYMENT_KEPT = "PAYMENT_KEPT"
REFUND_CREATED = "REFUND_CREATED"
REFUND_SUCCEEDED = "REFUND_SUCCEEDED"
REFUND_FAILED = "REFUND_FAILED"
_STATUS_CHANGED = "STATUS_CHANGED"
_UPDATED = "UPDATED"

_MAIL_OF_STATUS = {
    order_status.PAID: mail.ORDER_PAID,
    order_status.SHIPPED: mail.ORDER_SHIPPED,
    order_status.CANCELLED: mail.ORDER_CANCELLED,
}


def kind_of(actor: Actor) -> str:
    """Return the kind of an actor: a person, or the shop itself."""
    return PERSON if actor.user_id else SYSTEM


def change_status(
    actor: Actor,
    order: Order,
    status: str,
    *,
    actor_kind: str | None = None,
    tracking_number: str | None = None,
    reason: str | None = None,
    payment_id: UUID | None = None,
    captured: int | None = None,
) -> None:
    """Change the status, and return the units to stock if the new status does not hold them.

    `payment_id` and `captured` are the payment that caused the change, and its amount.
    """
    orders.UPDATE_STATUS.execute(
        order_id=order.id,
        status=status,
        captured=captured or 0,
        tracking_number=tracking_number if status == order_status.SHIPPED else None,
    )
    if order_status.returns_stock(order.status, status):
        _return_stock(actor, order, status)
    if status in _MAIL_OF_STATUS:
        mails.enqueue(_MAIL_OF_STATUS[status], subject_id=order.id, user_id=order.user_id)
    _append(
        actor,
        order,
        _STATUS_CHANGED,
        to_status=status,
        actor_kind=actor_kind,
        reason=reason,
        payment_id=payment_id,
        amount=captured,
    )


def update_shipment(
    actor: Actor, order: Order, *, tracking_number: str | None, carrier: str | None
) -> None:
    """Change the tracking number and the carrier. The event has the values before and after."""
    orders.UPDATE_SHIPMENT.execute(
        order_id=order.id, tracking_number=tracking_number, carrier=carrier
    )
    event_id = _append(actor, order, _UPDATED)
    for member, before, after in (
        ("tracking_number", order.tracking_number, tracking_number),
        ("carrier", order.carrier, carrier),
    ):
        if before != after:
            order_event.INSERT_CHANGE.execute(
                event_id=event_id, member=member, before=before, after=after
            )


def record_payment_event(
    actor: Actor,
    order: Order,
    event_type: str,
    *,
    payment_id: UUID | None,
    amount: int,
    captured: int = 0,
    refunded: int = 0,
    **fields: Any,
) -> None:
    """Record an event of a payment or refund; add money that was captured or refunded."""
    orders.UPDATE_AMOUNTS.execute(order_id=order.id, captured=captured, refunded=refunded)
    _append(actor, order, event_type, payment_id=payment_id, amount=amount, **fields)
    if event_type == REFUND_SUCCEEDED:
        mails.enqueue(
            mail.ORDER_REFUNDED,
            subject_id=fields["refund_id"],
            user_id=order.user_id,
            details={"order_id": order.id, "amount": amount, "currency": order.currency},
        )


def _append(
    actor: Actor,
    order: Order,
    event_type: str,
    *,
    to_status: str | None = None,
    actor_kind: str | None = None,
    reason: str | None = None,
    payment_id: UUID | None = None,
    refund_id: UUID | None = None,
    amount: int | None = None,
) -> UUID:
    actor_kind = actor_kind or kind_of(actor)
    event_id = uuid7()
    order_event.INSERT.execute(
        event_id=event_id,
        order_id=order.id,
        type=event_type,
        from_status=order.status,
        to_status=to_status or order.status,
        actor_kind=actor_kind,
        actor_user_id=actor.user_id if actor_kind == PERSON else None,
        reason=reason,
        request_id=actor.request_id,
        payment_id=payment_id,
        refund_id=refund_id,
        amount=amount,
    )
    return event_id


def _return_stock(actor: Actor, order: Order, status: str) -> None:
    placement.RETURN_STOCK.execute(
        product_ids=placement.uuid_array([item.product_id for item in order.items]),
        quantities=placement.integer_array([item.quantity for item in order.items]),
        movement_ids=placement.uuid_array([uuid7() for _ in order.items]),
        kind="RETURN" if status == order_status.RETURNED else "RELEASE",
        order_id=order.id,
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )
