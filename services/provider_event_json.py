"""Converts the verified event of a notification to JSON and back, to store and apply it later."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import ProviderEvent, ProviderPayment, ProviderRefund


def to_json(event: ProviderEvent) -> dict[str, Any]:
    """Return an event as JSON. The client secret is omitted: only responses contain it."""
    payment, refund = event.payment, event.refund
    payment_reference = refund.payment_reference if refund else None
    return {
        "event_id": event.event_id,
        "type": event.type,
        "payment_id": str(event.payment_id) if event.payment_id else None,
        "refund_id": str(event.refund_id) if event.refund_id else None,
        "payment_reference": payment.reference if payment else payment_reference,
        "payment": payment and _state_to_json(payment),
        "refund": refund and _state_to_json(refund),
    }


def _state_to_json(subject: ProviderPayment | ProviderRefund) -> dict[str, Any]:
    return {
        "reference": subject.reference,
        "state": subject.state,
        "amount": subject.amount.amount,
        "currency": subject.amount.currency,
        "failure_code": subject.failure_code,
    }


def from_json(stored: dict[str, Any]) -> ProviderEvent:
    """Return the event from the JSON that `to_json` has returned."""
    payment, refund = stored["payment"], stored["refund"]
    return ProviderEvent(
        event_id=stored["event_id"],
        type=stored["type"],
        payment=payment
        and ProviderPayment(
            reference=payment["reference"],
            state=PaymentState(payment["state"]),
            amount=Money(payment["amount"], payment["currency"]),
            failure_code=payment["failure_code"],
        ),
        refund=refund
        and ProviderRefund(
            reference=refund["reference"],
            payment_reference=stored["payment_reference"],
            state=RefundState(refund["state"]),
            amount=Money(refund["amount"], refund["currency"]),
            failure_code=refund["failure_code"],
        ),
        payment_id=UUID(stored["payment_id"]) if stored["payment_id"] else None,
        refund_id=UUID(stored["refund_id"]) if stored["refund_id"] else None,
    )
