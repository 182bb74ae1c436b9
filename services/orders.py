"""Orders, from their placement to their delivery or return."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from domain import order_number, order_status
from domain.actor import Actor
from domain.errors import NotFound, PreconditionFailed, TransitionNotAllowed
from domain.paging import Page
from models import order as orders
from models import order_event, placement
from models.database import reading, transaction
from models.order import Order, OrderItem
from models.order_event import OrderEvent
from services.placing import place

__all__ = [
    "Order",
    "OrderEvent",
    "OrderItem",
    "PlacedOrder",
    "create_order",
    "get_order",
    "list_order_events",
    "list_orders",
    "update_order_status",
]


class PlacedOrder(NamedTuple):
    """An order as it was placed, now or by an earlier request with the same idempotency key."""

    order: Order
    replayed: bool


def create_order(
    *, actor: Actor, items: Sequence[tuple[UUID, int]], idempotency_key: str | None
) -> PlacedOrder:
    """Place an order for (product, quantity) lines; lines of one product are summed.

    Raises:
        ProductsUnavailable: products are unknown or archived; names them all.
        InsufficientStock: there is too little of some; names them all.
        AmountOverflow: it costs more than can be written down exactly.
        IdempotencyKeyReused: the key was first given with another request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    order, replayed = place(actor=actor, items=items, idempotency_key=idempotency_key)
    return PlacedOrder(_for(actor, order), replayed)


@reading
def list_orders(
    *,
    actor: Actor,
    limit: int,
    cursor: str | None = None,
    sort: str = "-created_at",
    status: Sequence[str] | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    min_total: int | None = None,
    max_total: int | None = None,
    number: str | None = None,
    user_id: UUID | None = None,
) -> Page[Order]:
    """Return a page of the asker's own orders, of everybody's for an administrator.

    Totals are in minor units; `created_to` is the first moment that is too late.
    """
    wanted = None if number is None else order_number.normalised(number)
    if number is not None and wanted is None:
        return Page([], None)
    if not actor.is_admin:
        if actor.user_id is None or user_id not in {None, actor.user_id}:
            return Page([], None)
        user_id = actor.user_id
    page = orders.ORDERS.page(
        sort=sort,
        limit=limit,
        cursor=cursor,
        user_id=user_id,
        status=status[0] if status and len(status) == 1 else None,
        statuses=list(status) if status and len(status) > 1 else None,
        created_from=created_from,
        created_to=created_to,
        min_total=min_total,
        max_total=max_total,
        number=wanted,
    )
    return Page([_for(actor, order) for order in page.items], page.next_cursor)


@reading
def get_order(*, actor: Actor, order_id: UUID) -> Order:
    """Return one order.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    return _for(actor, _visible(actor, orders.FIND.one(order_id=order_id)))


@transaction
def update_order_status(
    *,
    actor: Actor,
    order_id: UUID,
    status: str,
    tracking_number: str | None,
    expected_versions: Collection[int] | None,
) -> Order:
    """Take an order one step on. The status that it has already changes nothing.

    Raises:
        NotFound: there is no such order, or it is somebody else's.
        PreconditionFailed: it is at none of the expected versions; None expects nothing.
        TransitionNotAllowed: this step is not there, or not for the one who asks.
    """
    order = _visible(actor, orders.FIND_TO_CHANGE.one(order_id=order_id))
    if expected_versions is not None and order.version not in expected_versions:
        raise PreconditionFailed
    if status == order.status:
        return _for(actor, order)
    steps = _steps(actor, order)
    if status not in steps:
        raise TransitionNotAllowed(current=order.status, requested=status, allowed=steps)
    _move_on(actor, order, status, tracking_number)
    return _for(actor, _visible(actor, orders.FIND.one(order_id=order_id)))


@reading
def list_order_events(
    *, actor: Actor, order_id: UUID, limit: int, cursor: str | None = None
) -> Page[OrderEvent]:
    """Return a page of what became of an order, the oldest first.

    Raises:
        NotFound: there is no such order, or it is somebody else's.
    """
    if not _may_see(actor, orders.FIND_OWNER.one(order_id=order_id)):
        raise NotFound("order")
    return order_event.TIMELINE.page(
        sort="created_at", limit=limit, cursor=cursor, order_id=order_id
    )


def _move_on(actor: Actor, order: Order, status: str, tracking_number: str | None) -> None:
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


def _visible(actor: Actor, order: Order | None) -> Order:
    if order is None or not _may_see(actor, order.user_id):
        raise NotFound("order")
    return order


def _may_see(actor: Actor, owner_id: UUID | None) -> bool:
    return owner_id is not None and (actor.is_admin or actor.user_id == owner_id)


def _for(actor: Actor, order: Order) -> Order:
    return order._replace(allowed_transitions=_steps(actor, order))


def _steps(actor: Actor, order: Order) -> tuple[str, ...]:
    who = order_status.parties(admin=actor.is_admin, owner=actor.user_id == order.user_id)
    return order_status.allowed(order.status, who)
