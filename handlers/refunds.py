"""HTTP handlers of refunds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.actor import Actor
from domain.money import Money
from handlers import representations
from handlers.idempotency import parse_idempotency_key, replay_headers
from handlers.responses import BASE_PATH, Response
from services import refunds


def create_refund(
    actor: Actor,
    payment_id: UUID,
    body: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Response:
    """Refund a payment, or return the refund created earlier with the same idempotency key."""
    request = body or {}
    created = refunds.create_refund(
        actor=actor,
        payment_id=payment_id,
        amount=Money(**request["amount"]) if "amount" in request else None,
        reason=request.get("reason"),
        idempotency_key=parse_idempotency_key(idempotency_key),
    )
    headers = {
        "Location": f"{BASE_PATH}/payments/{payment_id}/refunds",
        **replay_headers(created.replayed),
    }
    return representations.refund(created.refund), 201, headers


def list_refunds(actor: Actor, payment_id: UUID, limit: int, cursor: str | None = None) -> Response:
    """Return a page of a payment's refunds."""
    page = refunds.list_refunds(actor=actor, payment_id=payment_id, limit=limit, cursor=cursor)
    path = f"{BASE_PATH}/payments/{payment_id}/refunds"
    body, link = representations.page(page, representations.refund, path, {"limit": limit})
    return body, 200, link
