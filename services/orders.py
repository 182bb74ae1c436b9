"""Orders, from their placement to their delivery or return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from database.transactions import autocommit
from domain import order_number, order_status
from domain.actor import Actor
from domain.address import ShippingAddress
from domain.errors import Forbidden, NotFound
from domain.paging import Page
from models import order as orders
from models import order_event, order_search
from models.order import Customer, Order, OrderItem
from models.order_event import OrderEvent
from services.order_steps import (
    cancel_order,
    expire_orders,
    may_see,
    read,
    seen_by,
    update_order_status,
)
from services.placing import Request, place, summed

__all__ = [
    "Customer",
    "Order",
    "OrderEvent",
    "OrderItem",
    "PlacedOrder",
    "ShippingAddress",
    "cancel_order",
    "create_order",
    "expire_orders",
    "export_orders",
    "get_order",
    "list_order_events",
    "list_orders",
    "update_order_status",
]

# Enough that reading them takes longer than asking, and few enough to hold in memory.
_EXPORTED_AT_ONCE = 200


class PlacedOrder(NamedTuple):
    """An order as it was placed, now or by an earlier request with the same idempotency key."""

    order: Order
    replayed: bool


def create_order(
    *,
    actor: Actor,
    items: Sequence[tuple[UUID, int]],
    idempotency_key: str | None,
    shipping_address: ShippingAddress | None = None,
    note: str | None = None,
) -> PlacedOrder:
    """Place an order for (product, quantity) lines; lines of one product are summed.

    Raises:
        ProductsUnavailable: products are unknown or archived; names them all.
        InsufficientStock: there is too little of some; names them all.
        AmountOverflow: it costs more than can be written down exactly.
        IdempotencyKeyReused: the key was first given with another request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    request = Request(summed(items), shipping_address, note)
    order, replayed = place(actor=actor, request=request, idempotency_key=idempotency_key)
    if actor.is_admin:
        order = order._replace(customer=get_order(actor=actor, order_id=order.id).customer)
    return PlacedOrder(seen_by(actor, order), replayed)


@autocommit
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
    listing = orders.ORDERS_AND_CUSTOMERS if actor.is_admin else orders.ORDERS
    bounds = {
        "created_from": created_from,
        "created_to": created_to,
        "min_total": min_total,
        "max_total": max_total,
    }
    page = listing.page(
        sort=sort,
        limit=limit,
        cursor=cursor,
        user_id=user_id,
        number=wanted,
        **bounds,
        **_parts(sort, status, bounds, of_few=user_id is not None or wanted is not None),
    )
    return Page([seen_by(actor, order) for order in page.items], page.next_cursor)


def _parts(
    sort: str, status: Sequence[str] | None, bounds: Mapping[str, Any], *, of_few: bool
) -> dict[str, list[Any]]:
    """Return the filter for statuses, and what else the list is put together from.

    One person's orders are few: they are read by the person and sifted, as the one of a number
    is. Everybody's are read by status; by quarter too where they are sorted by total, and by
    length of the total where they are sorted by time and totals have bounds.
    """
    statuses = list(dict.fromkeys(status or ()))
    if of_few:
        return {"statuses": statuses} if statuses else {}
    parts: dict[str, list[Any]] = {"each_status": statuses or list(order_status.STATUSES)}
    if sort.endswith("total"):
        parts["each_quarter"] = order_search.quarters(bounds["created_from"], bounds["created_to"])
    elif bounds["min_total"] is not None or bounds["max_total"] is not None:
        parts["each_size"] = order_search.sizes(bounds["min_total"], bounds["max_total"])
    return parts


def export_orders(
    *, actor: Actor, created_to: datetime | None = None, **filters: Any
) -> Iterator[Order]:
    """Return all orders that the filters of `list_orders` leave, the oldest first.

    They are read part by part as they are taken, so an order is as it was when its part was read.
    The first part is read at once. Orders that are placed meanwhile are left out.

    Raises:
        Forbidden: this is for administrators.
    """
    if not actor.is_admin:
        raise Forbidden
    now = _now()
    query = {**filters, "created_to": min(created_to or now, now), "sort": "created_at"}
    first = list_orders(actor=actor, limit=_EXPORTED_AT_ONCE, **query)
    return _and_the_rest(actor, query, first)


@autocommit
def _now() -> datetime:
    """Return the moment by the clock that orders are placed by: ours may be behind it."""
    now = orders.NOW.one()
    assert now is not None  # noqa: S101  # it always gives a row
    return now


def _and_the_rest(actor: Actor, query: dict[str, Any], page: Page[Order]) -> Iterator[Order]:
    yield from page.items
    while page.next_cursor is not None:
        page = list_orders(actor=actor, limit=_EXPORTED_AT_ONCE, cursor=page.next_cursor, **query)
        yield from page.items


@autocommit
def get_order(*, actor: Actor, order_id: UUID) -> Order:
    """Return one order.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    return read(actor, order_id)


@autocommit
def currency_of_latest() -> str | None:
    """Return the currency of the latest order; None before the first."""
    return orders.CURRENCY_OF_LATEST.one()


@autocommit
def list_order_events(
    *, actor: Actor, order_id: UUID, limit: int, cursor: str | None = None
) -> Page[OrderEvent]:
    """Return a page of what became of an order, the oldest first.

    Raises:
        NotFound: there is no such order, or it is somebody else's.
    """
    if not may_see(actor, orders.FIND_OWNER.one(order_id=order_id)):
        raise NotFound("order")
    return order_event.TIMELINE.page(
        sort="created_at", limit=limit, cursor=cursor, order_id=order_id
    )
