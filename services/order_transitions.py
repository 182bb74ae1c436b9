"""The status transitions of an order: by users, one at a time, and by expiry."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from datetime import UTC, datetime, timedelta
from uuid import UUID

from database.transactions import autocommit, transaction
from domain import order_status
from domain.actor import Actor
from domain.errors import (
    Forbidden,
    Locked,
    PaymentProviderNotEnabled,
    PaymentProviderUnavailable,
    TrackingNumberDiffers,
    TransitionNotAllowed,
    Unavailable,
)
from domain.order_status import CANCELLED, PAID, PENDING, SHIPPED
from domain.payments import RefundCause, expires
from models import order as orders
from models import payment as payments
from models import placement
from models import product as products
from models.order import Order, PendingOrderPosition
from models.payment import MANUAL, Payment
from services import order_changes
from services.order_changes import change_status, record_payment_event
from services.order_visibility import find_to_change, require_visible
from services.payment_settling import reserve_refund
from services.payments import add_manual_payment, cancel_manual_payment, cancel_open_payment
from services.process import configuration

# Small, so that a worker that must stop finishes its batch soon.
EXPIRY_BATCH_ORDERS = 100
_BEFORE_ALL_ORDERS = PendingOrderPosition(datetime.min.replace(tzinfo=UTC), UUID(int=0))


@transaction
def update_order_status(
    *,
    actor: Actor,
    order_id: UUID,
    status: str,
    tracking_number: str | None,
    expected_versions: Collection[int] | None,
    reason: str | None = None,
) -> Order:
    """Set an order's status. Setting the status that the order already has changes nothing.

    PAID records a manual payment of the outstanding amount; CANCELLED refunds the payments.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
        PreconditionFailed: the order has none of the expected versions; None accepts any version.
        TransitionNotAllowed: this transition does not exist, or the actor may not make it.
        TrackingNumberDiffers: the order was shipped before, with another tracking number.
    """
    order = find_to_change(actor, order_id, expected_versions)
    if status != order.status:
        allowed = _allowed_transitions(actor, order)
        if status not in allowed:
            raise TransitionNotAllowed(current=order.status, requested=status, allowed=allowed)
        _make_transition(actor, order, status, tracking_number=tracking_number, reason=reason)
    elif status == SHIPPED and tracking_number not in {None, order.tracking_number}:
        raise TrackingNumberDiffers(order.tracking_number)
    return find_order(actor, order_id)


def _make_transition(
    actor: Actor, order: Order, status: str, *, tracking_number: str | None, reason: str | None
) -> None:
    if status == PAID and order.balance.outstanding:
        add_manual_payment(actor, order, order.balance.outstanding, method="OTHER", reason=reason)
    elif status == CANCELLED:
        _cancel(actor, order, reason=reason, keep_payment=False)
    else:
        change_status(actor, order, status, tracking_number=tracking_number, reason=reason)


@transaction
def cancel_order(
    *,
    actor: Actor,
    order_id: UUID,
    reason: str | None,
    expected_versions: Collection[int] | None,
    keep_payment: bool = False,
) -> Order:
    """Cancel an order, return its units to stock, and refund its payments.

    If the order is already cancelled, nothing changes. An open payment is canceled by the
    reconciliation job.

    Raises:
        Forbidden: `keep_payment`, which refunds nothing, is for administrators.
        Others: what `update_order_status` raises.
    """
    if keep_payment and not actor.is_admin:
        raise Forbidden
    order = find_to_change(actor, order_id, expected_versions)
    if order.status != CANCELLED:
        allowed = _allowed_transitions(actor, order)
        if CANCELLED not in allowed:
            raise TransitionNotAllowed(current=order.status, requested=CANCELLED, allowed=allowed)
        _cancel(actor, order, reason=reason, keep_payment=keep_payment)
    return find_order(actor, order_id)


def _cancel(actor: Actor, order: Order, *, reason: str | None, keep_payment: bool) -> None:
    change_status(actor, order, CANCELLED, reason=reason)
    order = order._replace(status=CANCELLED)
    payment = payments.FIND_OPEN.one(order_id=order.id)
    if payment is not None and payment.provider == MANUAL:
        cancel_manual_payment(actor, payment)
    elif payment is not None:
        payments.CHECK_NOW.execute(order_id=order.id)
    net_paid = order.balance.net_paid
    if keep_payment and net_paid:
        record_payment_event(
            actor,
            order,
            order_changes.PAYMENT_KEPT,
            payment_id=None,
            amount=net_paid,
            reason=reason,
        )
        return
    for paid in payments.FIND_REFUNDABLE.all(order_id=order.id):
        remaining = paid.amount - paid.amount_refunded
        reserve_refund(actor, order, paid, remaining, RefundCause.ORDER_CANCELLED, check_seconds=0)


def expire_orders(*, actor: Actor) -> int:
    """Cancel the oldest orders that were not paid in time; return how many were cancelled.

    Cancels at most `EXPIRY_BATCH_ORDERS`, each in its own transaction, so that the stock locks of
    one order are not held while the next one is processed. Skips an order that another transaction
    has locked, such as another worker's. After a lock timeout on the stock of a product, skips the
    other orders of this product. An unexpected error with one order does not stop the others.

    Raises:
        Unavailable: the database is busy or cannot be reached; orders cancelled so far stay
            cancelled.
        Exception: the first unexpected error, after all other orders were tried.
    """
    minutes = configuration().order_expiry_minutes
    if not minutes:
        return 0
    expired, errors = 0, []
    locked_products: set[UUID] = set()
    unavailable_providers: set[str] = set()
    for order_id in _unpaid_orders(minutes):
        try:
            if not _cancel_open_payment(actor, order_id, unavailable_providers):
                continue
            expired += _expire(
                actor=actor, order_id=order_id, minutes=minutes, locked_products=locked_products
            )
        except Locked:
            locked_products |= _find_locked_products(order_id)  # the next call tries them again
        except Unavailable:
            raise
        except Exception as error:  # try the other orders before raising it
            errors.append(error)
        if expired == EXPIRY_BATCH_ORDERS:
            break
    if errors:
        raise errors[0]
    return expired


def _unpaid_orders(minutes: int) -> Iterator[UUID]:
    """Return the ids of all orders that are due to expire, oldest first, read in batches."""
    batch = _unpaid_orders_after(minutes, _BEFORE_ALL_ORDERS)
    while batch:
        yield from (order.id for order in batch)
        batch = _unpaid_orders_after(minutes, batch[-1])


@autocommit
def _unpaid_orders_after(minutes: int, last: PendingOrderPosition) -> list[PendingOrderPosition]:
    return orders.FIND_UNPAID.all(
        minutes=minutes,
        after_created_at=last.created_at,
        after_id=last.id,
        limit=EXPIRY_BATCH_ORDERS,
    )


@transaction
def _expire(*, actor: Actor, order_id: UUID, minutes: int, locked_products: Set[UUID]) -> bool:
    order = orders.FIND_TO_EXPIRE.one(order_id=order_id)
    if order is None or any(item.product_id in locked_products for item in order.items):
        return False
    has_open_payment = payments.FIND_OPEN.one(order_id=order_id) is not None
    if not expires(order.balance, has_open_payment=has_open_payment):
        return False
    if order.expires_at is not None:
        minutes = configuration().manual_payment_expiry_minutes
    change_status(actor, order, CANCELLED, reason=f"Not paid within {minutes} minutes.")
    return True


def _cancel_open_payment(actor: Actor, order_id: UUID, unavailable_providers: set[str]) -> bool:
    """Cancel an open payment of an order that is due; return whether the order may expire now.

    If a provider does not respond, its orders are left for the next call of `expire_orders`: the
    money may have arrived.
    """
    payment = _find_open_payment(order_id)
    if payment is None:
        return True
    if payment.provider in unavailable_providers:
        return False
    try:
        cancel_open_payment(actor, payment)
    except (PaymentProviderUnavailable, PaymentProviderNotEnabled):
        unavailable_providers.add(payment.provider)
        return False
    return True


@autocommit
def _find_open_payment(order_id: UUID) -> Payment | None:
    return payments.FIND_OPEN.one(order_id=order_id)


@autocommit
def _find_locked_products(order_id: UUID) -> set[UUID]:
    order = orders.FIND.one(order_id=order_id)
    ordered = set() if order is None else {item.product_id for item in order.items}
    unlocked = products.FIND_UNLOCKED.all(product_ids=placement.uuid_array(ordered))
    return ordered.difference(unlocked)


def find_order(actor: Actor, order_id: UUID) -> Order:
    """Return an order as the actor may see it.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
    """
    statement = orders.FIND_WITH_CUSTOMER if actor.is_admin else orders.FIND
    order = require_visible(actor, statement.one(order_id=order_id))
    return with_allowed_transitions(actor, order)


def with_allowed_transitions(actor: Actor, order: Order) -> Order:
    """Return the order with the transitions that the actor may make."""
    return order._replace(allowed_transitions=_allowed_transitions(actor, order))


def _allowed_transitions(actor: Actor, order: Order) -> tuple[str, ...]:
    parties = order_status.parties(admin=actor.is_admin, owner=actor.user_id == order.user_id)
    allowed = order_status.allowed(order.status, parties)
    if order.status == PENDING and order.amount_paid and not actor.is_admin:
        # The order is partially paid: an administrator recorded the money, and must return it.
        return tuple(status for status in allowed if status != CANCELLED)
    return allowed


def expires_at(order: Order) -> datetime | None:
    """Return when the order expires if it is still unpaid; None if it does not expire."""
    minutes = configuration().order_expiry_minutes
    if order.status != PENDING or not minutes or order.balance.net_paid:
        return None
    return order.expires_at or order.created_at + timedelta(minutes=minutes)
