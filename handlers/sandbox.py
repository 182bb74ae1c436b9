"""HTTP handlers of the sandbox: payments without money, and mails that are not sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import preconditions, representations
from handlers.responses import Response
from services import sandbox


def settle_sandbox_payment(actor: Actor, payment_id: UUID, body: dict[str, Any]) -> Response:
    """Choose the outcome of a sandbox payment."""
    payment = sandbox.settle_sandbox_payment(
        actor=actor, payment_id=payment_id, outcome=body["outcome"]
    )
    tag = preconditions.entity_tag(payment.version)
    return representations.payment(payment), 200, {"ETag": tag}


def list_sandbox_mail(limit: int, to: str | None = None) -> Response:
    """List the newest mails that were kept instead of sent."""
    mails = sandbox.list_sandbox_mail(limit=limit, to=to)
    return {"items": [representations.sandbox_mail(mail) for mail in mails]}, 200, {}
