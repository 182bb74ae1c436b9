"""Stores the verified event of a notification as JSON, so that it can be applied later."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import ProviderEvent, ProviderPayment, ProviderRefund


def to_json(event: ProviderEvent) -> dict[str, Any]:
    """Return an event as JSON. The client secret is omitted: only responses contain it."""
    payment, refund = event.payment, event.refund
    reference = refund.payment_reference if refund else None
    return {
        "event_id": event.event_id,
        "type": event.type,
        "payment_id": str(event.payment_id) if event.payment_id else None,
        "refund_id": str(event.refund_id) if event.refund_id else None,
        "payment_reference": payment.reference if payment else reference,
        "payment": payment and _state(payment),
        "refund": refund and _state(refund),
    }


def _state(one: ProviderPayment | ProviderRefund) -> dict[str, Any]:
    return {
        "reference": one.reference,
        "state": one.state,
        "amount": one.amount.amount,
        "currency": one.amount.currency,
        "failure_code": one.failure_code,
    }


def from_json(news: dict[str, Any]) -> ProviderEvent:
    """Return the event from the JSON that `to_json` has returned."""
    payment, refund = news["payment"], news["refund"]
    return ProviderEvent(
        event_id=news["event_id"],
        type=news["type"],
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
            payment_reference=news["payment_reference"],
            state=RefundState(refund["state"]),
            amount=Money(refund["amount"], refund["currency"]),
            failure_code=refund["failure_code"],
        ),
        payment_id=UUID(news["payment_id"]) if news["payment_id"] else None,
        refund_id=UUID(news["refund_id"]) if news["refund_id"] else None,
    )
