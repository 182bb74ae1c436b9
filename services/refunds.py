"""Refunds: requesting and listing them, and sending them to the provider."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from database.transactions import autocommit, transaction
from domain import payments as rules
from domain.actor import Actor
from domain.errors import NotFound, PaymentProviderUnavailable, RefundExceedsCaptured
from domain.money import Money
from domain.paging import Page
from domain.payments import RefundCause, RefundState
from integrations.payments.provider import ProviderRefused
from models import order as orders
from models import payment as payments
from models import refund as refunds
from models.payment import MANUAL, Payment
from models.refund import Refund
from services import idempotency, payment_notifications, payment_providers
from services.order_visibility import can_see
from services.payment_settling import (
    FIRST_CHECK_SECONDS,
    fail_refund,
    reserve_refund,
    settle_refund,
)

__all__ = ["CreatedRefund", "Refund", "create_refund", "list_refunds"]


class CreatedRefund(NamedTuple):
    """A refund, and whether an earlier request with the same idempotency key has created it."""

    refund: Refund
    replayed: bool


def create_refund(
    *,
    actor: Actor,
    payment_id: UUID,
    amount: Money | None,
    reason: str | None,
    idempotency_key: str | None,
) -> CreatedRefund:
    """Refund a payment in part, or its whole remaining amount.

    The money is reserved before the provider is called, so that concurrent requests cannot refund
    more than was captured. If the provider does not respond, the refund stays PENDING and the
    reconciliation job repeats the call.

    Raises:
        NotFound: no payment has this id.
        RefundExceedsCaptured: the amount exceeds the remaining amount, or nothing remains.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    digest = idempotency.fingerprint("create_refund", payment_id, amount, reason)
    created = _reserve(actor, payment_id, amount, reason, idempotency_key, digest)
    if created.refund.status is RefundState.PENDING and created.refund.reference is None:
        try:
            sync_with_provider(actor, created.refund)
        except PaymentProviderUnavailable:
            return created
        created = created._replace(refund=find_refund(created.refund.id))
    return created


@transaction
def _reserve(
    actor: Actor,
    payment_id: UUID,
    amount: Money | None,
    reason: str | None,
    key: str | None,
    digest: bytes,
) -> CreatedRefund:
    payment = payments.FIND.one(payment_id=payment_id)
    if payment is None or not can_see(actor, payment.user_id):
        raise NotFound("payment")
    order = orders.FIND_TO_CHANGE.one(order_id=payment.order_id)
    payment = payments.FIND.one(payment_id=payment_id)
    assert order is not None  # noqa: S101  # a foreign key guarantees it
    assert payment is not None  # noqa: S101  # payments are never deleted
    first = idempotency.find(actor, key, digest)
    if first is not None and first.refund_id is not None:
        return CreatedRefund(find_refund(first.refund_id), True)
    remaining = rules.refundable(payment.status, payment.amount, payment.amount_refunded)
    requested = Money(remaining, payment.currency) if amount is None else amount
    if not 0 < requested.amount <= remaining or requested.currency != payment.currency:
        raise RefundExceedsCaptured(refundable=remaining)
    refund_id = reserve_refund(
        actor,
        order,
        payment,
        requested.amount,
        RefundCause.REQUESTED,
        check_seconds=FIRST_CHECK_SECONDS,
        reason=reason,
    )
    idempotency.claim(actor, key, digest, refund_id=refund_id)
    return CreatedRefund(find_refund(refund_id), False)


def sync_with_provider(actor: Actor, refund: Refund) -> None:
    """Create a refund at its provider, or fetch its state, and apply the response. Idempotent.

    Raises:
        PaymentProviderUnavailable: the provider did not respond.
    """
    payment = _payment_of(refund)
    if payment.provider == MANUAL or payment.reference is None:
        return
    provider = payment_providers.find(payment.provider)
    amount = Money(refund.amount, refund.currency)
    try:
        if refund.reference is None:
            response = payment_providers.call(
                provider, provider.refund, refund.id, payment.reference, amount
            )
        else:
            response = payment_providers.call(provider, provider.fetch_refund, refund.reference)
    except ProviderRefused as refusal:
        fail_refund(actor=actor, refund_id=refund.id, code=refusal.code)
    else:
        settle_refund(actor=actor, refund_id=refund.id, report=response)
    payment_notifications.process_unmatched(actor, payment.id)


@autocommit
def list_refunds(
    *, actor: Actor, payment_id: UUID, limit: int, cursor: str | None = None
) -> Page[Refund]:
    """Return a page of a payment's refunds, oldest first. Only administrators see the reasons.

    Raises:
        NotFound: no payment has this id, or its order belongs to another user.
    """
    payment = payments.FIND.one(payment_id=payment_id)
    if payment is None or not can_see(actor, payment.user_id):
        raise NotFound("payment")
    page = refunds.REFUNDS.page(
        sort="created_at", limit=limit, cursor=cursor, payment_id=payment_id
    )
    if actor.is_admin:
        return page
    return Page([refund._replace(reason=None) for refund in page.items], page.next_cursor)


@autocommit
def find_refund(refund_id: UUID) -> Refund:
    """Return a refund by an id that was read from the database."""
    refund = refunds.FIND.one(refund_id=refund_id)
    assert refund is not None  # noqa: S101  # refunds are never deleted
    return refund


@autocommit
def _payment_of(refund: Refund) -> Payment:
    payment = payments.FIND.one(payment_id=refund.payment_id)
    assert payment is not None  # noqa: S101  # payments are never deleted
    return payment
