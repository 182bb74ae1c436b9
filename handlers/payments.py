"""HTTP handlers of payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.actor import Actor
from domain.money import Money
from handlers import preconditions, representations
from handlers.idempotency import parse_idempotency_key, replay_headers
from handlers.responses import BASE_PATH, Response
from services import payments
from services.payments import CreatedPayment, Payment


def create_payment(
    actor: Actor,
    order_id: UUID,
    body: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Response:
    """Start a payment, or return the payment that the same idempotency key has started before."""
    created = payments.create_payment(
        actor=actor,
        order_id=order_id,
        provider=(body or {}).get("provider"),
        idempotency_key=parse_idempotency_key(idempotency_key),
    )
    return _created(created)


def record_manual_payment(
    actor: Actor, order_id: UUID, body: dict[str, Any], idempotency_key: str | None = None
) -> Response:
    """Record money that arrived in cash or by bank transfer."""
    created = payments.record_manual_payment(
        actor=actor,
        order_id=order_id,
        amount=Money(**body["amount"]),
        method=body["method"],
        reference=body.get("reference"),
        idempotency_key=parse_idempotency_key(idempotency_key),
    )
    return _created(created)


def list_payments(actor: Actor, order_id: UUID, limit: int, cursor: str | None = None) -> Response:
    """Return a page of an order's payments."""
    page = payments.list_payments(actor=actor, order_id=order_id, limit=limit, cursor=cursor)
    path = f"{BASE_PATH}/orders/{order_id}/payments"
    body, link = representations.page(page, representations.payment, path, {"limit": limit})
    return body, 200, link


def get_payment(actor: Actor, payment_id: UUID, if_none_match: str | None = None) -> Response:
    """Return one payment, or 304 if the client has this version of it."""
    payment = payments.get_payment(actor=actor, payment_id=payment_id)
    tag = preconditions.entity_tag(payment.version)
    if preconditions.is_unchanged(if_none_match, tag):
        return None, 304, {"ETag": tag}
    return _response(payment, 200)


def cancel_payment(actor: Actor, payment_id: UUID) -> Response:
    """Cancel a payment."""
    return _response(payments.cancel_payment(actor=actor, payment_id=payment_id), 200)


def _created(created: CreatedPayment) -> Response:
    headers = {
        "Location": f"{BASE_PATH}/payments/{created.payment.id}",
        **replay_headers(created.replayed),
    }
    return _response(created.payment, 201, headers)


def _response(payment: Payment, status: int, headers: dict[str, str] | None = None) -> Response:
    tag = preconditions.entity_tag(payment.version)
    return representations.payment(payment), status, {"ETag": tag, **(headers or {})}
