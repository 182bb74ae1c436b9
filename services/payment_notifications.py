"""Notifications (webhooks) of payment providers: stored first, acknowledged, then applied.

A notification is applied at most once. If it matches no payment or refund yet, it is retried for up
to a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson
import structlog
from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain.actor import Actor
from domain.errors import InvalidSignature, NotFound, PaymentProviderNotEnabled, Unavailable
from domain.paging import Page
from integrations.payments import provider as integration
from integrations.payments.provider import ProviderEvent, ProviderRefund
from models import payment as payments
from models import payment_notification as notifications
from models import refund as refunds
from models.payment import Payment
from models.payment_notification import PaymentNotification
from models.refund import Refund
from services import payment_providers
from services.payment_settling import (
    Result,
    payment_report,
    record_provider_refund,
    settle,
    settle_refund,
)
from services.provider_event_json import from_json, to_json

__all__ = [
    "PaymentNotification",
    "list_payment_notifications",
    "process_due",
    "process_unmatched",
    "receive_payment_notification",
    "report_given_up",
]

APPLIED = "APPLIED"
DUPLICATE = "DUPLICATE"
UNMATCHED = "UNMATCHED"
IGNORED = "IGNORED"
FAILED = "FAILED"

_OUTCOMES = {
    Result.APPLIED: APPLIED,
    Result.UNCHANGED: DUPLICATE,
    Result.MISMATCHED: FAILED,
    Result.UNMATCHED: UNMATCHED,
}
_DETAILS = {Result.MISMATCHED: "The amount or the reference differs from ours."}
_MAX_EVENT_ID_CHARACTERS = 200
_MAX_TYPE_CHARACTERS = 100
_BATCH = 50
_MAX_RETRY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class _ApplyResult:
    """The result of applying a notification, and the payment and refund that it concerns."""

    result: Result
    payment_id: UUID | None = None
    refund_id: UUID | None = None


def receive_payment_notification(
    *, actor: Actor, provider: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Store a notification and apply it. A duplicate only increments the delivery count.

    The provider gets a success response as soon as the notification is stored. If applying it fails
    here, the worker retries.

    Raises:
        NotFound: this shop does not use the provider.
        InvalidSignature: the provider did not send this body.
    """
    try:
        event = payment_providers.find(provider).interpret(body, headers)
    except PaymentProviderNotEnabled as error:
        raise NotFound("payment provider") from error
    except integration.InvalidSignature as error:
        raise InvalidSignature from error
    notification_id = _store(provider, body, event)
    if notification_id is None or event is None:
        return
    try:
        _process(actor, notification_id)
    except Unavailable:
        structlog.get_logger("orderly").warning(
            "payment_notification_postponed", notification_id=str(notification_id)
        )


@autocommit
def _store(provider: str, body: bytes, event: ProviderEvent | None) -> UUID | None:
    """Store a notification; return its id, or None if it was stored before.

    An ignored event type is not parsed, so there is no event id: a hash of the body replaces it.
    """
    return notifications.STORE.one(
        notification_id=uuid7(),
        provider=provider,
        event_id=event.event_id[:_MAX_EVENT_ID_CHARACTERS]
        if event
        else f"sha256:{hashlib.sha256(body).hexdigest()}",
        type=event.type[:_MAX_TYPE_CHARACTERS] if event else "unused",
        # Nothing says whom an ignored event concerns, so it could not be erased with that person.
        body=body if event else b"",
        news=orjson.dumps(to_json(event)).decode() if event else None,
        outcome=None if event else IGNORED,
        detail=None,
    )


def _process(actor: Actor, notification_id: UUID) -> bool:
    """Apply a notification, then those that depend on it; return whether it was applied."""
    payment_id = _apply_once(actor, notification_id)
    if payment_id is not None:
        process_unmatched(actor, payment_id)
    return payment_id is not None


def process_unmatched(actor: Actor, payment_id: UUID) -> None:
    """Retry the unmatched notifications about a payment."""
    for notification_id in _find_unmatched(payment_id):
        _apply_once(actor, notification_id)


@autocommit
def _find_unmatched(payment_id: UUID) -> list[UUID]:
    payment = payments.FIND.one(payment_id=payment_id)
    if payment is None:
        return []
    return notifications.FIND_UNMATCHED.all(
        provider=payment.provider, payment_id=str(payment_id), reference=payment.reference
    )


@transaction
def _apply_once(actor: Actor, notification_id: UUID) -> UUID | None:
    """Apply a notification unless it was applied before; return the payment that it has changed."""
    stored = notifications.FIND_TO_PROCESS.one(notification_id=notification_id)
    if stored is None:
        return None
    applied = _apply(actor, stored.provider, from_json(stored.news))
    notifications.RECORD_OUTCOME.execute(
        notification_id=notification_id,
        outcome=_OUTCOMES[applied.result],
        detail=_DETAILS.get(applied.result),
        payment_id=applied.payment_id,
        refund_id=applied.refund_id,
    )
    return applied.payment_id if applied.result is Result.APPLIED else None


def _apply(actor: Actor, provider: str, event: ProviderEvent) -> _ApplyResult:
    payment = _find_payment(provider, event)
    if payment is None:
        return _ApplyResult(Result.UNMATCHED)
    applied = _ApplyResult(Result.UNCHANGED, payment.id)
    if event.payment is not None:
        report = payment_report(event.payment)
        result = settle(actor=actor, payment_id=payment.id, report=report)
        applied = _ApplyResult(result, payment.id)
    if event.refund is not None and applied.result in {Result.APPLIED, Result.UNCHANGED}:
        return _apply_refund(actor, payment, event.refund, event.refund_id)
    return applied


def _apply_refund(
    actor: Actor, payment: Payment, report: ProviderRefund, refund_id: UUID | None
) -> _ApplyResult:
    refund = _find_refund(payment, report, refund_id)
    if refund is None:
        result = record_provider_refund(actor=actor, payment_id=payment.id, report=report)
        return _ApplyResult(result, payment.id)
    result = settle_refund(actor=actor, refund_id=refund.id, report=report)
    return _ApplyResult(result, payment.id, refund.id)


def _find_payment(provider: str, event: ProviderEvent) -> Payment | None:
    if event.payment_id is not None:
        payment = payments.FIND.one(payment_id=event.payment_id)
        return payment if payment is not None and payment.provider == provider else None
    reference = event.refund.payment_reference if event.refund else None
    if event.payment is not None:
        reference = event.payment.reference
    return payments.FIND_BY_REFERENCE.one(provider=provider, reference=reference)


def _find_refund(payment: Payment, report: ProviderRefund, refund_id: UUID | None) -> Refund | None:
    if refund_id is not None:
        refund = refunds.FIND.one(refund_id=refund_id)
        if refund is not None and refund.payment_id == payment.id:
            return refund
    return refunds.FIND_BY_REFERENCE.one(payment_id=payment.id, reference=report.reference)


def process_due(*, actor: Actor) -> int:
    """Apply notifications that were stored but not applied, and retry the unmatched ones.

    Returns how many were applied. After a day, an unmatched notification is logged as an error and
    no longer retried.
    """
    applied = 0
    for due in _claim_due():
        applied += _process(actor, due.id)
        if due.age > _MAX_RETRY_SECONDS:
            _give_up(due.id)
    return applied


@autocommit
def _claim_due() -> list[notifications.DueNotification]:
    return notifications.CLAIM_DUE.all(limit=_BATCH)


@autocommit
def _give_up(notification_id: UUID) -> None:
    if notifications.STOP_CHECKS.execute(notification_id=notification_id):
        structlog.get_logger("orderly").error(
            "payment_notification_unmatched", notification_id=str(notification_id)
        )


@autocommit
def report_given_up(*, provider: str, subject: str, detail: str) -> None:
    """Add an entry to the list of notifications: the provider gave no definite answer for a day."""
    notifications.STORE.one(
        notification_id=uuid7(),
        provider=provider,
        event_id=f"orderly:{subject}",
        type="reconciliation.given_up",
        body=detail.encode(),
        news=None,
        outcome=FAILED,
        detail=detail,
    )


@autocommit
def list_payment_notifications(
    *,
    limit: int,
    cursor: str | None = None,
    provider: str | None = None,
    outcome: str | None = None,
) -> Page[PaymentNotification]:
    """Return a page of the notifications, newest first."""
    return notifications.NOTIFICATIONS.page(
        sort="-created_at", limit=limit, cursor=cursor, provider=provider, outcome=outcome
    )
