"""HTTP handlers of the notifications (webhooks) of payment providers."""

from __future__ import annotations

from collections.abc import Mapping

from domain.actor import Actor
from handlers import representations
from handlers.responses import BASE_PATH, Response
from services import payment_notifications


def receive_payment_notification(
    actor: Actor, provider: str, body: bytes, headers: Mapping[str, str]
) -> Response:
    """Store and apply a notification; its signature authenticates the provider."""
    payment_notifications.receive_payment_notification(
        actor=actor, provider=provider, body=body, headers=headers
    )
    return None, 204, {}


def list_payment_notifications(
    limit: int,
    cursor: str | None = None,
    provider: str | None = None,
    outcome: str | None = None,
) -> Response:
    """Return a page of the notifications."""
    page = payment_notifications.list_payment_notifications(
        limit=limit, cursor=cursor, provider=provider, outcome=outcome
    )
    path = f"{BASE_PATH}/payment-notifications"
    query = {"limit": limit, "provider": provider, "outcome": outcome}
    body, link = representations.page(page, representations.payment_notification, path, query)
    return body, 200, link
