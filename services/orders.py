"""Orders: placing, reading, listing and exporting them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from database.transactions import autocommit
from domain import order_number, order_status
from domain.actor import Actor
from domain.address import ShippingAddress
from domain.errors import Forbidden, NotFound
from domain.order_filters import OrderFilters
from domain.paging import Page
from models import order as orders
from models import order_event, order_search
from models.order import Customer, Order, OrderItem
from models.order_event import OrderEvent
from services import process, security_events
from services.order_placement import OrderRequest, place, quantity_by_product
from services.order_transitions import (
    cancel_order,
    expire_orders,
    expires_at,
    find_order,
    update_order_status,
    with_allowed_transitions,
)
from services.order_updates import update_order
from services.order_visibility import as_owner_sees, can_see
from services.users import require_verified_email

__all__ = [
    "Customer",
    "Order",
    "OrderEvent",
    "OrderFilters",
    "OrderItem",
    "PlacedOrder",
    "ShippingAddress",
    "cancel_order",
    "create_order",
    "expire_orders",
    "expires_at",
    "export_orders",
    "get_order",
    "list_order_events",
    "list_orders",
    "update_order",
    "update_order_status",
]

_NO_FILTERS = OrderFilters()

# Large enough that a round trip takes less time than reading the rows; small enough for memory.
_EXPORT_BATCH_ROWS = 200


class PlacedOrder(NamedTuple):
    """An order as placed by this request, or by an earlier one with the same idempotency key."""

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
    """Place an order for (product id, quantity) lines; lines of the same product are summed.

    Raises:
        EmailNotVerified: the shop requires a verified address, and the actor has none.
        ProductsUnavailable: products are unknown or archived; lists all of them.
        InsufficientStock: products have too little stock; lists all of them.
        AmountOverflow: the total is too large to be represented exactly.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    require_verified_email(actor)
    request = OrderRequest(quantity_by_product(items), shipping_address, note)
    order, replayed = place(actor=actor, request=request, idempotency_key=idempotency_key)
    if not replayed:
        process.state().orders_placed += 1
    if actor.is_admin:
        order = order._replace(customer=get_order(actor=actor, order_id=order.id).customer)
    return PlacedOrder(with_allowed_transitions(actor, order), replayed)


@autocommit
def list_orders(
    *,
    actor: Actor,
    limit: int,
    cursor: str | None = None,
    sort: str = "-created_at",
    filters: OrderFilters = _NO_FILTERS,
) -> Page[Order]:
    """Return a page of the actor's own orders; an administrator sees all orders."""
    number = None if filters.number is None else order_number.normalise(filters.number)
    if filters.number is not None and number is None:
        return Page([], None)
    if not actor.is_admin:
        if actor.user_id is None or filters.user_id not in {None, actor.user_id}:
            return Page([], None)
        filters = replace(filters, user_id=actor.user_id)
    filters = replace(filters, number=number)
    listing = orders.ORDERS_WITH_CUSTOMERS if actor.is_admin else orders.ORDERS
    page = listing.page(sort=sort, limit=limit, cursor=cursor, **_listing_filters(sort, filters))
    return Page([with_allowed_transitions(actor, order) for order in page.items], page.next_cursor)


def _listing_filters(sort: str, filters: OrderFilters) -> dict[str, Any]:
    """Return the filters of the listing for these filters, so that an index returns sorted rows.

    - One user's orders, or one order number: few rows, read by the index of the user or the number.
      The status is checked for each row.
    - All users' orders: read per status, from an index that begins with the status. If sorted by
      total, also per quarter of a year. If sorted by time with bounds on the total, also per number
      of digits of the total. `models.order_search` explains this.
    """
    result = asdict(filters)
    statuses = list(dict.fromkeys(result.pop("statuses") or ()))
    if filters.user_id is not None or filters.number is not None:
        return {**result, "statuses": statuses or None}
    result["each_status"] = statuses or list(order_status.STATUSES)
    if sort.endswith("total"):
        quarters = order_search.quarters(filters.created_from, filters.created_to)
        result["each_quarter"] = quarters
    elif filters.min_total is not None or filters.max_total is not None:
        lengths = order_search.total_lengths(filters.min_total, filters.max_total)
        result["each_total_length"] = lengths
    return result


def export_orders(*, actor: Actor, filters: OrderFilters = _NO_FILTERS) -> Iterator[Order]:
    """Return all orders that match the filters, oldest first.

    The first batch is read before this function returns, the others while the iterator is
    consumed. Each batch sees a newer snapshot than the one before. Orders placed after the call
    are left out.

    Raises:
        Forbidden: the actor is not an administrator.
    """
    if not actor.is_admin:
        raise Forbidden
    now = _database_time()
    filters = replace(filters, created_to=min(filters.created_to or now, now))
    security_events.append(security_events.DATA_EXPORTED, actor=actor, detail="export_orders")
    first = _export_batch(actor, filters, cursor=None)
    return _all_pages(actor, filters, first)


@autocommit
def _database_time() -> datetime:
    """Return the time of the database's clock, which sets `created_at`. Our clock may be behind."""
    now = orders.NOW.one()
    assert now is not None  # noqa: S101  # the statement always returns one row
    return now


def _all_pages(actor: Actor, filters: OrderFilters, page: Page[Order]) -> Iterator[Order]:
    yield from page.items
    while page.next_cursor is not None:
        page = _export_batch(actor, filters, cursor=page.next_cursor)
        yield from page.items


def _export_batch(actor: Actor, filters: OrderFilters, *, cursor: str | None) -> Page[Order]:
    return list_orders(
        actor=actor, limit=_EXPORT_BATCH_ROWS, cursor=cursor, sort="created_at", filters=filters
    )


@autocommit
def get_order(*, actor: Actor, order_id: UUID) -> Order:
    """Return one order.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
    """
    return find_order(actor, order_id)


@autocommit
def currency_of_latest() -> str | None:
    """Return the currency of the latest order; None if there are no orders."""
    return orders.CURRENCY_OF_LATEST.one()


@autocommit
def list_order_events(
    *, actor: Actor, order_id: UUID, limit: int, cursor: str | None = None
) -> Page[OrderEvent]:
    """Return a page of an order's timeline, oldest event first.

    Only administrators see the reasons that the staff has given, and who gave them.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
    """
    owner_id = orders.FIND_OWNER.one(order_id=order_id)
    if owner_id is None or not can_see(actor, owner_id):
        raise NotFound("order")
    page = order_event.TIMELINE.page(
        sort="created_at", limit=limit, cursor=cursor, order_id=order_id
    )
    if actor.is_admin:
        return page
    return Page([as_owner_sees(event, owner_id) for event in page.items], page.next_cursor)
