"""The sandbox's notifications: their format and their signature."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson

from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import (
    InvalidSignature,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
)
from integrations.payments.sandbox_store import StoredPayment, StoredRefund

HEADER = "sandbox-signature"
TOLERANCE_SECONDS = 300


def body_of(event_id: str, kind: str, subject: StoredPayment | StoredRefund) -> bytes:
    """Return the body of a notification about a payment or a refund."""
    content: dict[str, Any] = {
        "reference": subject.reference,
        "status": subject.state,
        "amount": {"amount": subject.amount.amount, "currency": subject.amount.currency},
    }
    if isinstance(subject, StoredPayment):
        content |= {"payment_id": subject.payment_id, "failure_code": subject.failure_code}
        return orjson.dumps({"id": event_id, "type": kind, "payment": content})
    content |= {
        "refund_id": subject.refund_id,
        "payment_reference": subject.payment_reference,
    }
    return orjson.dumps({"id": event_id, "type": kind, "refund": content})


def sign(secret: bytes, body: bytes, *, age: int = 0) -> dict[str, str]:
    """Return the headers that sign a body, as of `age` seconds ago."""
    signed_at = str(int(time.time()) - age)
    return {HEADER: f"t={signed_at},v1={_digest(secret, signed_at, body)}"}


def verify(secret: bytes, body: bytes, headers: Mapping[str, str]) -> None:
    """Check the signature of a body.

    Raises:
        InvalidSignature: it is missing or wrong, or more than five minutes old.
    """
    parts = dict(part.partition("=")[::2] for part in headers.get(HEADER, "").split(","))
    signed_at, digest = parts.get("t", ""), parts.get("v1", "")
    if not hmac.compare_digest(_digest(secret, signed_at, body).encode(), digest.encode()):
        raise InvalidSignature
    if abs(time.time() - int(signed_at)) > TOLERANCE_SECONDS:
        raise InvalidSignature


def _digest(secret: bytes, signed_at: str, body: bytes) -> str:
    message = signed_at.encode("latin-1", "replace") + b"." + body
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def parse(body: bytes) -> ProviderEvent | None:
    """Return what a notification says; None if it has another format."""
    # KeyError and TypeError: a member is missing, or has another type.
    with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        event = orjson.loads(body)
        if "refund" in event:
            return _refund_event(event["id"], event["type"], event["refund"])
        return _payment_event(event["id"], event["type"], event["payment"])
    return None


def _payment_event(event_id: str, kind: str, content: Mapping[str, Any]) -> ProviderEvent:
    payment = ProviderPayment(
        content["reference"],
        PaymentState(content["status"]),
        Money(**content["amount"]),
        failure_code=content["failure_code"],
    )
    return ProviderEvent(event_id, kind, payment=payment, payment_id=UUID(content["payment_id"]))


def _refund_event(event_id: str, kind: str, content: Mapping[str, Any]) -> ProviderEvent:
    refund = ProviderRefund(
        content["reference"],
        content["payment_reference"],
        RefundState(content["status"]),
        Money(**content["amount"]),
    )
    return ProviderEvent(event_id, kind, refund=refund, refund_id=UUID(content["refund_id"]))
