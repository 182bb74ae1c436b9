"""HTTP handlers of orders."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import order_export, preconditions, representations
from handlers.idempotency import parse_idempotency_key
from handlers.responses import BASE_PATH, Response
from services import orders
from services.orders import Order, OrderFilters, ShippingAddress


def create_order(
    actor: Actor, body: dict[str, Any], idempotency_key: str | None = None
) -> Response:
    """Place an order, or return the one placed earlier with the same idempotency key."""
    address = body.get("shipping_address")
    placed = orders.create_order(
        actor=actor,
        items=[(UUID(line["product_id"]), line["quantity"]) for line in body["items"]],
        idempotency_key=parse_idempotency_key(idempotency_key),
        shipping_address=ShippingAddress(**address) if address else None,
        note=body.get("note"),
    )
    headers = {"Location": f"{BASE_PATH}/orders/{placed.order.id}"}
    if placed.replayed:
        headers["Idempotent-Replayed"] = "true"
    return _response(placed.order, 201, headers)


def list_orders(
    actor: Actor,
    limit: int,
    sort: str,
    cursor: str | None = None,
    status: list[str] | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    min_total: int | None = None,
    max_total: int | None = None,
    q: str | None = None,
    user_id: UUID | None = None,
) -> Response:
    """Return a page of the actor's own orders; an administrator sees all orders."""
    filters = OrderFilters(
        statuses=status,
        created_from=created_from,
        created_to=created_to,
        min_total=min_total,
        max_total=max_total,
        number=q,
        user_id=user_id,
    )
    page = orders.list_orders(actor=actor, limit=limit, cursor=cursor, sort=sort, filters=filters)
    query = {
        "limit": limit,
        "sort": sort,
        "status": status,
        "created_from": created_from,
        "created_to": created_to,
        "min_total": min_total,
        "max_total": max_total,
        "user_id": user_id,
        "q": q,
    }
    body, link = representations.page(page, representations.order, f"{BASE_PATH}/orders", query)
    return body, 200, link


def get_order(actor: Actor, order_id: UUID, if_none_match: str | None = None) -> Response:
    """Return one order, or 304 if the client has this version of it."""
    order = orders.get_order(actor=actor, order_id=order_id)
    if preconditions.is_unchanged(if_none_match, _entity_tag(order)):
        return None, 304, {"ETag": _entity_tag(order)}
    return _response(order, 200)


def update_order(
    actor: Actor, order_id: UUID, body: dict[str, Any], if_match: str | None = None
) -> Response:
    """Update an order with a merge patch (RFC 7396)."""
    order = orders.update_order(
        actor=actor,
        order_id=order_id,
        changes=body,
        expected_versions=preconditions.expected_versions(if_match),
    )
    return _response(order, 200)


def update_order_status(
    actor: Actor, order_id: UUID, body: dict[str, Any], if_match: str | None = None
) -> Response:
    """Change an order's status."""
    order = orders.update_order_status(
        actor=actor,
        order_id=order_id,
        status=body["status"],
        tracking_number=body.get("tracking_number"),
        reason=body.get("reason"),
        expected_versions=preconditions.expected_versions(if_match),
    )
    return _response(order, 200)


def cancel_order(
    actor: Actor,
    order_id: UUID,
    body: dict[str, Any] | None = None,
    if_match: str | None = None,
) -> Response:
    """Cancel an order, return its units to stock and refund what was paid."""
    order = orders.cancel_order(
        actor=actor,
        order_id=order_id,
        reason=(body or {}).get("reason"),
        keep_payment=(body or {}).get("keep_payment", False),
        expected_versions=preconditions.expected_versions(if_match),
    )
    return _response(order, 200)


def export_orders(
    actor: Actor,
    status: list[str] | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    min_total: int | None = None,
    max_total: int | None = None,
    q: str | None = None,
    user_id: UUID | None = None,
) -> Response:
    """Return all orders that match the filters as a CSV stream."""
    filters = OrderFilters(
        statuses=status,
        created_from=created_from,
        created_to=created_to,
        min_total=min_total,
        max_total=max_total,
        number=q,
        user_id=user_id,
    )
    rows = orders.export_orders(actor=actor, filters=filters)
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"'}
    return order_export.as_csv(rows), 200, headers


def list_order_events(
    actor: Actor, order_id: UUID, limit: int, cursor: str | None = None
) -> Response:
    """Return a page of an order's timeline."""
    page = orders.list_order_events(actor=actor, order_id=order_id, limit=limit, cursor=cursor)
    path = f"{BASE_PATH}/orders/{order_id}/events"
    body, link = representations.page(page, representations.order_event, path, {"limit": limit})
    return body, 200, link


def _entity_tag(order: Order) -> str:
    # Administrators also see the customer's email and name, so these change the tag too. If-Match
    # compares only the version.
    customer = [] if order.customer is None else [preconditions.digest(order.customer)]
    return preconditions.entity_tag(order.version, *customer)


def _response(order: Order, status: int, headers: dict[str, str] | None = None) -> Response:
    return representations.order(order), status, {"ETag": _entity_tag(order), **(headers or {})}
