"""The steps of an order's life: by people, one at a time, and by the shop when nobody pays."""

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
from models.order import Order, Unpaid
from services.process import configuration

# So few at once that a worker which is told to stop has soon done so.
EXPIRED_AT_ONCE = 100
_BEFORE_ALL = Unpaid(datetime.min.replace(tzinfo=UTC), UUID(int=0))


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
    """Take an order one step on. The status that it has already changes nothing.

    Raises:
        NotFound: there is no such order, or it is somebody else's.
        PreconditionFailed: it is at none of the expected versions; None expects nothing.
        TransitionNotAllowed: this step is not there, or not for the one who asks.
    """
    order = visible(actor, orders.FIND_TO_CHANGE.one(order_id=order_id))
    if expected_versions is not None and order.version not in expected_versions:
        raise PreconditionFailed
    if status != order.status:
        steps = _steps(actor, order)
        if status not in steps:
            raise TransitionNotAllowed(current=order.status, requested=status, allowed=steps)
        _move_on(actor, order, status, tracking_number=tracking_number, reason=reason)
    return read(actor, order_id)


@transaction
def cancel_order(
    *,
    actor: Actor,
    order_id: UUID,
    reason: str | None,
    expected_versions: Collection[int] | None,
) -> Order:
    """Cancel an order and put its stock back. One that is cancelled stays as it is.

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
    """Cancel the oldest orders that were not paid for in time; return how many there were.

    At most `EXPIRED_AT_ONCE`, each in a transaction of its own, so that none waits for another's
    stock. Orders that somebody else is moving on, another worker too, are passed over, and so are
    those whose stock is locked for longer than one waits, once for each product. An order that
    cannot be cancelled by a fault of ours keeps none of the others waiting.

    Raises:
        Unavailable: the database is busy or away; what was cancelled before stays so.
        Exception: some of the orders could not be cancelled; this is why, of the first.
    """
    minutes = configuration().order_expiry_minutes
    if not minutes:
        return 0
    expired, faults = 0, []
    locked: set[UUID] = set()
    for order_id in _unpaid(minutes):
        try:
            expired += _expire(actor=actor, order_id=order_id, minutes=minutes, locked=locked)
        except Locked:
            locked |= _locked_products(order_id)  # there is another round soon
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, there are others
            faults.append(error)
        if expired == EXPIRED_AT_ONCE:
            break
    if faults:
        raise faults[0]
    return expired


def _unpaid(minutes: int) -> Iterator[UUID]:
    """Return all that are due, the oldest first; read part by part as they are taken."""
    part = _unpaid_after(minutes, _BEFORE_ALL)
    while part:
        yield from (order.id for order in part)
        part = _unpaid_after(minutes, part[-1])


@autocommit
def _unpaid_after(minutes: int, last: Unpaid) -> list[Unpaid]:
    return orders.UNPAID.all(
        minutes=minutes, after_moment=last.created_at, after_id=last.id, limit=EXPIRED_AT_ONCE
    )


@transaction
def _expire(*, actor: Actor, order_id: UUID, minutes: int, locked: Set[UUID]) -> bool:
    order = orders.FIND_TO_EXPIRE.one(order_id=order_id)
    if order is None or any(item.product_id in locked for item in order.items):
        return False
    if CANCELLED not in order_status.allowed(order.status, {Party.SYSTEM}):
        return False
    _move_on(actor, order, CANCELLED, reason=f"Not paid for within {minutes} minutes.")
    return True


@autocommit
def _locked_products(order_id: UUID) -> set[UUID]:
    order = orders.FIND.one(order_id=order_id)
    ordered = set() if order is None else {item.product_id for item in order.items}
    return ordered.difference(products.FIND_FREE.all(product_ids=placement.uuid_array(ordered)))


def read(actor: Actor, order_id: UUID) -> Order:
    """Return an order as the one who asks may see it.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    statement = orders.FIND_WITH_CUSTOMER if actor.is_admin else orders.FIND
    return seen_by(actor, visible(actor, statement.one(order_id=order_id)))


def visible(actor: Actor, order: Order | None) -> Order:
    """Return an order that the one who asks may see.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    if order is None or not may_see(actor, order.user_id):
        raise NotFound("order")
    return order


def may_see(actor: Actor, owner_id: UUID | None) -> bool:
    """Tell whether somebody may see an order of this owner's."""
    return owner_id is not None and (actor.is_admin or actor.user_id == owner_id)


def seen_by(actor: Actor, order: Order) -> Order:
    """Return an order with the steps that are open to the one who asks."""
    return order._replace(allowed_transitions=_steps(actor, order))


def _steps(actor: Actor, order: Order) -> tuple[str, ...]:
    who = order_status.parties(admin=actor.is_admin, owner=actor.user_id == order.user_id)
    return order_status.allowed(order.status, who)


def _move_on(
    actor: Actor,
    order: Order,
    status: str,
    *,
    tracking_number: str | None = None,
    reason: str | None = None,
) -> None:
    orders.MOVE_ON.execute(
        order_id=order.id,
        status=status,
        tracking_number=tracking_number if status == order_status.SHIPPED else None,
    )
    if order_status.gives_stock_back(order.status, status):
        _give_stock_back(actor, order, status)
    order_event.RECORD.execute(
        event_id=uuid7(),
        order_id=order.id,
        from_status=order.status,
        to_status=status,
        actor_kind="PERSON" if actor.user_id else "SYSTEM",
        actor_user_id=actor.user_id,
        reason=reason,
        request_id=actor.request_id,
    )


def _give_stock_back(actor: Actor, order: Order, status: str) -> None:
    placement.GIVE_BACK.execute(
        product_ids=placement.uuid_array([item.product_id for item in order.items]),
        quantities=placement.integer_array([item.quantity for item in order.items]),
        movement_ids=placement.uuid_array([uuid7() for _ in order.items]),
        kind="RETURN" if status == order_status.RETURNED else "RELEASE",
        order_id=order.id,
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )
