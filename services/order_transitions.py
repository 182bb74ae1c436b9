"""The status transitions of an order: by users, one at a time, and by expiry."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain import order_status
from domain.actor import Actor
from domain.errors import Locked, NotFound, PreconditionFailed, TransitionNotAllowed, Unavailable
from domain.order_status import CANCELLED, Party
from models import order as orders
from models import order_event, placement
from models import product as products
from models.order import Order, UnpaidOrder
from services.process import configuration

# Small, so that a worker that must stop finishes its batch soon.
EXPIRY_BATCH_ORDERS = 100
_BEFORE_ALL_ORDERS = UnpaidOrder(datetime.min.replace(tzinfo=UTC), UUID(int=0))


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

    Raises:
        NotFound: no order has this id, or it belongs to another user.
        PreconditionFailed: the order has none of the expected versions; None accepts any version.
        TransitionNotAllowed: this transition does not exist, or the actor may not make it.
    """
    order = require_visible(actor, orders.FIND_TO_CHANGE.one(order_id=order_id))
    if expected_versions is not None and order.version not in expected_versions:
        raise PreconditionFailed
    if status != order.status:
        allowed = _allowed_transitions(actor, order)
        if status not in allowed:
            raise TransitionNotAllowed(current=order.status, requested=status, allowed=allowed)
        _change_status(actor, order, status, tracking_number=tracking_number, reason=reason)
    return find_order(actor, order_id)


@transaction
def cancel_order(
    *,
    actor: Actor,
    order_id: UUID,
    reason: str | None,
    expected_versions: Collection[int] | None,
) -> Order:
    """Cancel an order and return its units to stock. A cancelled order stays as it is.

    Raises: what `update_order_status` raises.
    """
    return update_order_status(
        actor=actor,
        order_id=order_id,
        status=CANCELLED,
        tracking_number=None,
        reason=reason,
        expected_versions=expected_versions,
    )


def expire_orders(*, actor: Actor) -> int:
    """Cancel the oldest orders that were not paid in time; return how many were cancelled.

    Cancels at most `EXPIRY_BATCH_ORDERS`, each in its own transaction, so that no order waits for
    the stock of another. Skips an order that another transaction has locked, such as another
    worker's. Skips orders with a product whose stock lock timed out once in this call. An
    unexpected error with one order does not stop the others.

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
    for order_id in _unpaid_orders(minutes):
        try:
            expired += _expire(
                actor=actor, order_id=order_id, minutes=minutes, locked_products=locked_products
            )
        except Locked:
            locked_products |= _locked_products_of(order_id)  # the next call tries them again
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
    """Return the ids of all orders that are due, oldest first, read in batches."""
    batch = _unpaid_orders_after(minutes, _BEFORE_ALL_ORDERS)
    while batch:
        yield from (order.id for order in batch)
        batch = _unpaid_orders_after(minutes, batch[-1])


@autocommit
def _unpaid_orders_after(minutes: int, last: UnpaidOrder) -> list[UnpaidOrder]:
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
    if CANCELLED not in order_status.allowed(order.status, {Party.SYSTEM}):
        return False
    _change_status(actor, order, CANCELLED, reason=f"Not paid within {minutes} minutes.")
    return True


@autocommit
def _locked_products_of(order_id: UUID) -> set[UUID]:
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


def require_visible(actor: Actor, order: Order | None) -> Order:
    """Return the order if the actor may see it.

    Raises:
        NotFound: there is no order, or it belongs to another user.
    """
    if order is None or not can_see(actor, order.user_id):
        raise NotFound("order")
    return order


def can_see(actor: Actor, owner_id: UUID | None) -> bool:
    """Return whether the actor may see an order of this owner; None means there is no order."""
    return owner_id is not None and (actor.is_admin or actor.user_id == owner_id)


def with_allowed_transitions(actor: Actor, order: Order) -> Order:
    """Return the order with the transitions that the actor may make."""
    return order._replace(allowed_transitions=_allowed_transitions(actor, order))


def _allowed_transitions(actor: Actor, order: Order) -> tuple[str, ...]:
    who = order_status.parties(admin=actor.is_admin, owner=actor.user_id == order.user_id)
    return order_status.allowed(order.status, who)


def _change_status(
    actor: Actor,
    order: Order,
    status: str,
    *,
    tracking_number: str | None = None,
    reason: str | None = None,
) -> None:
    orders.UPDATE_STATUS.execute(
        order_id=order.id,
        status=status,
        tracking_number=tracking_number if status == order_status.SHIPPED else None,
    )
    if order_status.returns_stock(order.status, status):
        _return_stock(actor, order, status)
    order_event.INSERT.execute(
        event_id=uuid7(),
        order_id=order.id,
        from_status=order.status,
        to_status=status,
        actor_kind="PERSON" if actor.user_id else "SYSTEM",
        actor_user_id=actor.user_id,
        reason=reason,
        request_id=actor.request_id,
    )


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
