"""Payments: starting, recording, reading and canceling them.

A provider is never called inside a transaction. The first transaction stores the payment. Then the
provider is called with the payment's id as idempotency key, and a second transaction records the
response. If the process dies in between, the reconciliation job repeats the call.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain import payments as rules
from domain.actor import Actor
from domain.errors import (
    NotFound,
    OrderNotPayable,
    PaymentExceedsBalance,
    PaymentInProgress,
    PaymentNotCancelable,
    PaymentProviderNotEnabled,
)
from domain.money import Money
from domain.paging import Page
from domain.payments import PaymentState
from integrations.payments.provider import ProviderRefused
from models import order as orders
from models import payment as payments
from models.order import Order
from models.payment import MANUAL, Payment
from services import (
    idempotency,
    order_changes,
    payment_notifications,
    payment_providers,
    throttling,
)
from services.order_changes import record_payment_event
from services.order_visibility import can_see, find_to_change
from services.payment_settling import (
    FIRST_CHECK_SECONDS,
    PaymentReport,
    capture,
    payment_report,
    settle,
)
from services.process import configuration

__all__ = [
    "CreatedPayment",
    "Payment",
    "cancel_payment",
    "create_payment",
    "get_payment",
    "list_payments",
    "record_manual_payment",
]


class CreatedPayment(NamedTuple):
    """A payment, and whether an earlier request with the same idempotency key has created it."""

    payment: Payment
    replayed: bool


def create_payment(
    *, actor: Actor, order_id: UUID, provider: str | None, idempotency_key: str | None
) -> CreatedPayment:
    """Start a payment of the outstanding amount at `provider`, or else at the default provider.

    Raises:
        NotFound: no order has this id, or another user has placed it.
        OrderNotPayable: the order is not pending, or has no outstanding amount.
        PaymentInProgress: another payment of the order is open.
        PaymentProviderNotEnabled: the shop does not use this provider.
        PaymentProviderUnavailable: the provider did not respond. The payment stays open: a retry
            of the request, or the reconciliation job, repeats the call.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
        TooManyAttempts: by this user.
    """
    digest = idempotency.fingerprint("create_payment", order_id, provider)
    with throttling.limit_payment_attempts(actor):
        started = _start(actor, order_id, provider, idempotency_key, digest)
        if is_unanswered(started.payment):
            create_at_provider(actor, started.payment)
            started = started._replace(payment=find_payment(started.payment.id))
    return started


def is_unanswered(payment: Payment) -> bool:
    """Return whether the provider has not responded yet, so that the call must be repeated."""
    return payment.is_open and payment.reference is None and payment.provider != MANUAL


def create_at_provider(actor: Actor, payment: Payment) -> None:
    """Create a payment at its provider, and apply the response. Idempotent.

    Raises:
        PaymentProviderUnavailable: the provider did not respond.
    """
    provider = payment_providers.find(payment.provider)
    amount = Money(payment.amount, payment.currency)
    try:
        response = payment_providers.call(
            provider, provider.create, payment.id, amount, order_number=payment.order_number
        )
    except ProviderRefused as refusal:
        report = PaymentReport(PaymentState.FAILED, failure_code=refusal.code)
    else:
        report = payment_report(response)
    settle(actor=actor, payment_id=payment.id, report=report)
    payment_notifications.process_unmatched(actor, payment.id)


@transaction
def _start(
    actor: Actor, order_id: UUID, provider: str | None, key: str | None, digest: bytes
) -> CreatedPayment:
    order = orders.FIND_TO_CHANGE.one(order_id=order_id)
    if order is None or order.user_id != actor.user_id:
        raise NotFound("order")
    first = idempotency.find(actor, key, digest)
    if first is not None and first.payment_id is not None:
        return CreatedPayment(find_payment(first.payment_id), True)
    name = _choose_provider(provider)
    payment = payments.FIND_OPEN.one(order_id=order_id)
    if payment is not None and not (is_unanswered(payment) and payment.provider == name):
        raise PaymentInProgress(payment_id=payment.id)
    if payment is None:
        if not order.balance.is_payable:
            raise OrderNotPayable(current=order.status, balance=order.balance.outstanding)
        payment = _insert(actor, order, name)
    idempotency.claim(actor, key, digest, payment_id=payment.id)
    return CreatedPayment(payment, False)


def _choose_provider(provider: str | None) -> str:
    enabled = payment_providers.enabled()
    name = provider or next(iter(enabled), None)
    if name is None or name not in enabled:
        raise PaymentProviderNotEnabled(provider=name or "any provider", enabled=enabled)
    return name


def _insert(actor: Actor, order: Order, provider: str) -> Payment:
    payment_id = uuid7()
    payments.INSERT.execute(
        payment_id=payment_id,
        order_id=order.id,
        provider=provider,
        reference=None,
        method=None,
        amount=order.balance.outstanding,
        currency=order.currency,
        status=PaymentState.PENDING,
        check_seconds=None if provider == MANUAL else FIRST_CHECK_SECONDS,
    )
    if provider == MANUAL:
        minutes = configuration().manual_payment_expiry_minutes
        orders.SET_EXPIRY.execute(order_id=order.id, minutes=minutes)
    record_payment_event(
        actor,
        order,
        order_changes.PAYMENT_CREATED,
        payment_id=payment_id,
        amount=order.balance.outstanding,
    )
    return find_payment(payment_id)


@transaction
def record_manual_payment(
    *,
    actor: Actor,
    order_id: UUID,
    amount: Money,
    method: str,
    reference: str | None,
    idempotency_key: str | None,
) -> CreatedPayment:
    """Record money that has arrived outside of any provider.

    A pending manual payment of the order is completed with it; otherwise a new payment is created.
    If the order is now paid, the reconciliation job cancels an open payment at a provider.

    Raises:
        NotFound: no order has this id, or the actor is not an administrator.
        OrderNotPayable: the order is not pending, is paid, or has another currency.
        PaymentExceedsBalance: the amount exceeds the outstanding amount.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    digest = idempotency.fingerprint("record_manual_payment", order_id, amount, method, reference)
    order = find_to_change(actor, order_id)
    first = idempotency.find(actor, idempotency_key, digest)
    if first is not None and first.payment_id is not None:
        return CreatedPayment(find_payment(first.payment_id), True)
    balance = order.balance
    if not balance.is_payable or amount.currency != order.currency:
        raise OrderNotPayable(current=order.status, balance=balance.outstanding)
    if amount.amount > balance.outstanding:
        raise PaymentExceedsBalance(balance=balance.outstanding)
    payment = add_manual_payment(actor, order, amount.amount, method=method, reference=reference)
    idempotency.claim(actor, idempotency_key, digest, payment_id=payment.id)
    return CreatedPayment(payment, False)


def add_manual_payment(
    actor: Actor,
    order: Order,
    amount: int,
    *,
    method: str,
    reference: str | None = None,
    reason: str | None = None,
) -> Payment:
    """Record a manual payment of a locked, pending order."""
    pending = payments.FIND_OPEN.one(order_id=order.id)
    fields = {"amount": amount, "method": method, "reference": reference}
    if pending is not None and pending.provider == MANUAL:
        payment_id = pending.id
        payments.UPDATE_MANUAL.execute(payment_id=payment_id, **fields)
        payments.UPDATE_STATUS.execute(
            payment_id=payment_id, status=PaymentState.SUCCEEDED, failure_code=None
        )
    else:
        payment_id = uuid7()
        payments.INSERT.execute(
            payment_id=payment_id,
            order_id=order.id,
            provider=MANUAL,
            currency=order.currency,
            status=PaymentState.SUCCEEDED,
            check_seconds=None,
            **fields,
        )
    payment = find_payment(payment_id)
    change = rules.payment_change(
        order.balance, PaymentState.PENDING, amount, PaymentState.SUCCEEDED
    )
    capture(actor, order, payment, change, actor_kind=order_changes.PERSON, reason=reason)
    if change.pays_order:
        payments.CHECK_NOW.execute(order_id=order.id)
    return payment


@autocommit
def list_payments(
    *, actor: Actor, order_id: UUID, limit: int, cursor: str | None = None
) -> Page[Payment]:
    """Return a page of an order's payments, oldest first.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
    """
    if not can_see(actor, orders.FIND_OWNER.one(order_id=order_id)):
        raise NotFound("order")
    return payments.PAYMENTS.page(sort="created_at", limit=limit, cursor=cursor, order_id=order_id)


@autocommit
def get_payment(*, actor: Actor, payment_id: UUID) -> Payment:
    """Return one payment.

    Raises:
        NotFound: no payment has this id, or its order belongs to another user.
    """
    payment = payments.FIND.one(payment_id=payment_id)
    if payment is None or not can_see(actor, payment.user_id):
        raise NotFound("payment")
    return payment


@autocommit
def find_payment(payment_id: UUID) -> Payment:
    """Return a payment by an id that was read from the database."""
    payment = payments.FIND.one(payment_id=payment_id)
    assert payment is not None  # noqa: S101  # payments are never deleted
    return payment


def cancel_payment(*, actor: Actor, payment_id: UUID) -> Payment:
    """Cancel an open payment, at its provider too. If it is already canceled, nothing changes.

    Raises:
        NotFound: no payment has this id, or its order belongs to another user.
        PaymentNotCancelable: the payment has succeeded or failed, or the provider refuses.
        PaymentProviderUnavailable: the provider did not respond.
        TooManyAttempts: by this user.
    """
    payment = get_payment(actor=actor, payment_id=payment_id)
    with throttling.limit_payment_attempts(actor):
        if payment.is_open:
            cancel_open_payment(actor, payment)
            payment = get_payment(actor=actor, payment_id=payment_id)
    if payment.status is not PaymentState.CANCELED:
        raise PaymentNotCancelable(payment_status=payment.status)
    return payment


def cancel_open_payment(actor: Actor, payment: Payment) -> None:
    """Cancel an open payment at its provider, and apply the state that the provider reports.

    If the provider refuses, the payment can still be open afterwards.

    Raises:
        PaymentProviderUnavailable: the provider did not respond.
    """
    if payment.provider == MANUAL:
        cancel_manual_payment(actor, payment)
        return
    if is_unanswered(payment):
        create_at_provider(actor, payment)
        payment = find_payment(payment.id)
    if not payment.is_open or payment.reference is None:
        return
    provider = payment_providers.find(payment.provider)
    try:
        response = payment_providers.call(provider, provider.cancel, payment.id, payment.reference)
    except ProviderRefused:
        response = payment_providers.call(provider, provider.fetch, payment.reference)
    settle(actor=actor, payment_id=payment.id, report=payment_report(response))


@transaction
def cancel_manual_payment(actor: Actor, payment: Payment) -> None:
    """Cancel a pending manual payment, and restore the usual time limit of its order."""
    orders.SET_EXPIRY.execute(order_id=payment.order_id, minutes=None)
    settle(actor=actor, payment_id=payment.id, report=PaymentReport(PaymentState.CANCELED))
