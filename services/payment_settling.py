"""Settling: applies news of payments and refunds, whoever brings it, under the order's lock.

The news may be a provider's answer, a notification, or what the reconciliation job has found. The
functions can be called any number of times with the same news, and with old news.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from database.transactions import transaction
from domain import payments as rules
from domain.actor import Actor
from domain.money import Money
from domain.order_status import PAID
from domain.payments import PaymentChange, PaymentState, RefundCause, RefundState
from integrations.payments.provider import ProviderPayment, ProviderRefund
from models import order as orders
from models import payment as payments
from models import refund as refunds
from models.order import Order
from models.payment import MANUAL, Payment
from models.refund import Refund
from services import order_changes
from services.order_changes import change_status, record_payment_event

# The seconds that a request has to ask the provider itself, before the reconciliation job does.
ANSWER_SECONDS = 15

_EVENTS = {
    PaymentState.FAILED: order_changes.PAYMENT_FAILED,
    PaymentState.CANCELED: order_changes.PAYMENT_CANCELED,
}


class Result(StrEnum):
    """What news has changed."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    # The amount or the reference differs from ours: nothing was applied.
    MISMATCHED = "MISMATCHED"
    # Something else must arrive first.
    UNMATCHED = "UNMATCHED"


@dataclass(frozen=True, slots=True)
class PaymentNews:
    """What is known of a payment at its provider."""

    state: PaymentState
    amount: Money | None = None
    reference: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    failure_code: str | None = None


def payment_news(payment: ProviderPayment) -> PaymentNews:
    """Return what a provider reports as news."""
    return PaymentNews(
        payment.state,
        payment.amount,
        payment.reference,
        payment.client_secret,
        payment.redirect_url,
        payment.failure_code,
    )


@transaction
def settle(*, actor: Actor, payment_id: UUID, news: PaymentNews) -> Result:
    """Apply news to a payment and to its order.

    Money that the order does not need is reserved for a refund, which the worker sends.
    """
    order, payment = _lock(payment_id)
    if not _matches(payment, news):
        return _record_mismatch(actor, order, payment, news)
    learned = _record_answer(payment, news)
    change = rules.payment_change(order.balance, payment.status, payment.amount, news.state)
    if change.state == payment.status:
        return Result.APPLIED if learned else Result.UNCHANGED
    payments.UPDATE_STATUS.execute(
        payment_id=payment.id, status=change.state, failure_code=news.failure_code
    )
    if change.captured:
        capture(actor, order, payment, change, actor_kind=order_changes.PROVIDER)
    elif change.state in _EVENTS:
        is_by_person = change.state is PaymentState.CANCELED and actor.user_id is not None
        record_payment_event(
            actor,
            order,
            _EVENTS[change.state],
            payment_id=payment.id,
            amount=payment.amount,
            actor_kind=order_changes.PERSON if is_by_person else order_changes.PROVIDER,
        )
    return Result.APPLIED


def capture(
    actor: Actor,
    order: Order,
    payment: Payment,
    change: PaymentChange,
    *,
    actor_kind: str,
    reason: str | None = None,
) -> None:
    """Add captured money to a locked order, and reserve what the order does not need for a refund.

    The payment has the state SUCCEEDED already.
    """
    if change.pays_order:
        change_status(
            actor,
            order,
            PAID,
            actor_kind=actor_kind,
            reason=reason,
            payment_id=payment.id,
            captured=change.captured,
        )
        order = order._replace(status=PAID)
    else:
        record_payment_event(
            actor,
            order,
            order_changes.PAYMENT_SUCCEEDED,
            payment_id=payment.id,
            amount=change.captured,
            captured=change.captured,
            actor_kind=actor_kind,
        )
    if change.cause is not None:
        reserve_refund(
            actor,
            order,
            payment,
            change.refund,
            change.cause,
            check_seconds=0,
            actor_kind=order_changes.SYSTEM,
        )


def reserve_refund(
    actor: Actor,
    order: Order,
    payment: Payment,
    amount: int,
    cause: RefundCause,
    *,
    check_seconds: int,
    reason: str | None = None,
    reference: str | None = None,
    actor_kind: str | None = None,
) -> UUID:
    """Reserve money of a locked order's payment for a refund; return the refund's id.

    The reconciliation job asks the provider after `check_seconds`. A refund of a manual payment is
    complete: the person who records it has returned the money.
    """
    is_manual = payment.provider == MANUAL
    refund_id = uuid7()
    payments.RESERVE.execute(payment_id=payment.id, amount=amount)
    refunds.INSERT.execute(
        refund_id=refund_id,
        payment_id=payment.id,
        reference=reference,
        amount=amount,
        status=RefundState.SUCCEEDED if is_manual else RefundState.PENDING,
        cause=cause,
        reason=reason,
        check_seconds=None if is_manual else check_seconds,
    )
    record_payment_event(
        actor,
        order,
        order_changes.REFUND_SUCCEEDED if is_manual else order_changes.REFUND_CREATED,
        payment_id=payment.id,
        refund_id=refund_id,
        amount=amount,
        refunded=amount,
        reason=reason,
        actor_kind=actor_kind,
    )
    return refund_id


@transaction
def settle_refund(*, actor: Actor, refund_id: UUID, news: ProviderRefund) -> Result:
    """Apply news to a refund. If it has failed, its money is available again."""
    refund, order, payment = _lock_refund(refund_id)
    if news.amount != Money(refund.amount, payment.currency):
        _log_mismatch(payment, news.amount)
        return Result.MISMATCHED
    return _change_refund(actor, order, payment, refund, news.state, news.reference, news)


@transaction
def fail_refund(*, actor: Actor, refund_id: UUID, code: str) -> Result:
    """Record that the provider has refused a refund, so that its money is available again."""
    refund, order, payment = _lock_refund(refund_id)
    return _change_refund(actor, order, payment, refund, RefundState.FAILED, None, code)


@transaction
def record_provider_refund(*, actor: Actor, payment_id: UUID, news: ProviderRefund) -> Result:
    """Record a refund that somebody has made at the provider, not through this API."""
    order, payment = _lock(payment_id)
    if news.state is RefundState.FAILED:
        return Result.UNCHANGED
    if news.amount.currency != payment.currency:
        _log_mismatch(payment, news.amount)
        return Result.MISMATCHED
    left = rules.refundable(payment.status, payment.amount, payment.amount_refunded)
    if news.amount.amount > left:
        return Result.UNMATCHED
    refund_id = reserve_refund(
        actor,
        order,
        payment,
        news.amount.amount,
        RefundCause.PROVIDER,
        check_seconds=ANSWER_SECONDS,
        reference=news.reference,
        actor_kind=order_changes.PROVIDER,
    )
    settle_refund(actor=actor, refund_id=refund_id, news=news)
    return Result.APPLIED


def _change_refund(
    actor: Actor,
    order: Order,
    payment: Payment,
    refund: Refund,
    state: RefundState,
    reference: str | None,
    source: ProviderRefund | str,
) -> Result:
    following = rules.next_refund_state(refund.status, state)
    if following == refund.status and (reference is None or refund.reference is not None):
        return Result.UNCHANGED
    code = source if isinstance(source, str) else source.failure_code
    refunds.UPDATE_STATUS.execute(
        refund_id=refund.id, status=following, reference=reference, failure_code=code
    )
    if following == refund.status:
        return Result.APPLIED
    has_failed = following is RefundState.FAILED
    if has_failed:
        payments.RESERVE.execute(payment_id=payment.id, amount=-refund.amount)
        structlog.get_logger("orderly").error(
            "refund_failed", refund_id=str(refund.id), order_id=str(order.id), failure_code=code
        )
    record_payment_event(
        actor,
        order,
        order_changes.REFUND_FAILED if has_failed else order_changes.REFUND_SUCCEEDED,
        payment_id=payment.id,
        refund_id=refund.id,
        amount=refund.amount,
        refunded=-refund.amount if has_failed else 0,
        actor_kind=order_changes.PROVIDER,
    )
    return Result.APPLIED


def _lock(payment_id: UUID) -> tuple[Order, Payment]:
    """Lock the order of a payment; return both as they are then."""
    payment = payments.FIND.one(payment_id=payment_id)
    assert payment is not None  # noqa: S101  # payments are never deleted
    order = orders.FIND_TO_CHANGE.one(order_id=payment.order_id)
    payment = payments.FIND.one(payment_id=payment_id)
    assert order is not None  # noqa: S101  # a foreign key guarantees it
    assert payment is not None  # noqa: S101
    return order, payment


def _lock_refund(refund_id: UUID) -> tuple[Refund, Order, Payment]:
    refund = refunds.FIND.one(refund_id=refund_id)
    assert refund is not None  # noqa: S101  # refunds are never deleted
    order, payment = _lock(refund.payment_id)
    refund = refunds.FIND.one(refund_id=refund_id)
    assert refund is not None  # noqa: S101
    return refund, order, payment


def _matches(payment: Payment, news: PaymentNews) -> bool:
    if news.amount is not None and news.amount != Money(payment.amount, payment.currency):
        return False
    return None in {payment.reference, news.reference} or payment.reference == news.reference


def _record_answer(payment: Payment, news: PaymentNews) -> bool:
    """Record what was not known of the payment; return whether there was anything."""
    known = (payment.reference, payment.client_secret, payment.redirect_url)
    told = (news.reference, news.client_secret, news.redirect_url)
    if all(new is None or new == old for old, new in zip(known, told, strict=True)):
        return False
    payments.RECORD_ANSWER.execute(
        payment_id=payment.id,
        reference=news.reference,
        client_secret=news.client_secret,
        redirect_url=news.redirect_url,
    )
    return True


def _record_mismatch(actor: Actor, order: Order, payment: Payment, news: PaymentNews) -> Result:
    """Report news that contradicts our data; record it on the timeline once."""
    _log_mismatch(payment, news.amount)
    if payments.MARK_MISMATCHED.execute(payment_id=payment.id):
        record_payment_event(
            actor,
            order,
            order_changes.PAYMENT_MISMATCHED,
            payment_id=payment.id,
            amount=news.amount.amount if news.amount else payment.amount,
            actor_kind=order_changes.PROVIDER,
        )
    return Result.MISMATCHED


def _log_mismatch(payment: Payment, reported: Money | None) -> None:
    structlog.get_logger("orderly").error(
        "payment_mismatched",
        payment_id=str(payment.id),
        order_id=str(payment.order_id),
        expected=payment.amount,
        reported=None if reported is None else f"{reported.amount} {reported.currency}",
    )
