"""Applies reports of the states of payments and refunds, while the row of the order is locked.

A report comes from a provider's response, a notification (webhook), or the reconciliation job. All
functions are idempotent: duplicate and stale reports change nothing.
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

# The delay before the reconciliation job first checks a new payment or refund: in this time, the
# request that created it calls the provider itself.
FIRST_CHECK_SECONDS = 15

_EVENT_OF_STATE = {
    PaymentState.FAILED: order_changes.PAYMENT_FAILED,
    PaymentState.CANCELED: order_changes.PAYMENT_CANCELED,
}


class Result(StrEnum):
    """The result of applying a report."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    # The amount or the reference contradicts our data: nothing was applied.
    MISMATCHED = "MISMATCHED"
    # The report depends on another one that has not arrived yet: try again later.
    UNMATCHED = "UNMATCHED"


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """The state of a payment as its provider reports it."""

    state: PaymentState
    amount: Money | None = None
    reference: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    failure_code: str | None = None


def payment_report(payment: ProviderPayment) -> PaymentReport:
    """Return the report in a provider's response or notification."""
    return PaymentReport(
        payment.state,
        payment.amount,
        payment.reference,
        payment.client_secret,
        payment.redirect_url,
        payment.failure_code,
    )


@transaction
def settle(*, actor: Actor, payment_id: UUID, report: PaymentReport) -> Result:
    """Apply a report to a payment and to its order.

    Excess money is reserved for a refund. The worker then sends the refund to the provider.
    """
    order, payment = _lock(payment_id)
    if not _matches(payment, report):
        return _record_mismatch(actor, order, payment, report)
    has_new_details = _record_details(payment, report)
    change = rules.payment_change(order.balance, payment.status, payment.amount, report.state)
    if change.state == payment.status:
        return Result.APPLIED if has_new_details else Result.UNCHANGED
    payments.UPDATE_STATUS.execute(
        payment_id=payment.id, status=change.state, failure_code=report.failure_code
    )
    if change.captured:
        capture(actor, order, payment, change, actor_kind=order_changes.PROVIDER)
    elif change.state in _EVENT_OF_STATE:
        is_canceled_by_person = change.state is PaymentState.CANCELED and actor.user_id is not None
        record_payment_event(
            actor,
            order,
            _EVENT_OF_STATE[change.state],
            payment_id=payment.id,
            amount=payment.amount,
            actor_kind=order_changes.PERSON if is_canceled_by_person else order_changes.PROVIDER,
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
    """Add captured money to a locked order, and reserve a refund of the excess.

    The caller has set the payment's state to SUCCEEDED.
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
    """Create a refund of a locked order's payment, and reserve its money; return the refund's id.

    The reconciliation job first checks the refund after `check_seconds`. A refund of a manual
    payment succeeds immediately: the administrator who records it has returned the money.
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
def settle_refund(*, actor: Actor, refund_id: UUID, report: ProviderRefund) -> Result:
    """Apply a report to a refund. If the refund has failed, release its reserved money."""
    refund, order, payment = _lock_refund(refund_id)
    if report.amount != Money(refund.amount, payment.currency):
        _log_mismatch(payment, report.amount)
        return Result.MISMATCHED
    return _change_refund(
        actor, order, payment, refund, report.state, report.reference, report.failure_code
    )


@transaction
def fail_refund(*, actor: Actor, refund_id: UUID, code: str) -> Result:
    """Record that the provider has refused a refund, and release its reserved money."""
    refund, order, payment = _lock_refund(refund_id)
    return _change_refund(actor, order, payment, refund, RefundState.FAILED, None, code)


@transaction
def record_provider_refund(*, actor: Actor, payment_id: UUID, report: ProviderRefund) -> Result:
    """Record a refund that was created at the provider, not through this API."""
    order, payment = _lock(payment_id)
    if report.state is RefundState.FAILED:
        return Result.UNCHANGED
    if report.amount.currency != payment.currency:
        _log_mismatch(payment, report.amount)
        return Result.MISMATCHED
    remaining = rules.refundable(payment.status, payment.amount, payment.amount_refunded)
    if report.amount.amount > remaining:
        return Result.UNMATCHED
    refund_id = reserve_refund(
        actor,
        order,
        payment,
        report.amount.amount,
        RefundCause.PROVIDER,
        check_seconds=FIRST_CHECK_SECONDS,
        reference=report.reference,
        actor_kind=order_changes.PROVIDER,
    )
    settle_refund(actor=actor, refund_id=refund_id, report=report)
    return Result.APPLIED


def _change_refund(
    actor: Actor,
    order: Order,
    payment: Payment,
    refund: Refund,
    state: RefundState,
    reference: str | None,
    failure_code: str | None,
) -> Result:
    next_state = rules.next_refund_state(refund.status, state)
    if next_state == refund.status and (reference is None or refund.reference is not None):
        return Result.UNCHANGED
    refunds.UPDATE_STATUS.execute(
        refund_id=refund.id, status=next_state, reference=reference, failure_code=failure_code
    )
    if next_state == refund.status:
        return Result.APPLIED
    has_failed = next_state is RefundState.FAILED
    if has_failed:
        payments.RESERVE.execute(payment_id=payment.id, amount=-refund.amount)
        structlog.get_logger("orderly").error(
            "refund_failed",
            refund_id=str(refund.id),
            order_id=str(order.id),
            failure_code=failure_code,
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
    """Lock the order of a payment; return both as read after the lock was acquired."""
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


def _matches(payment: Payment, report: PaymentReport) -> bool:
    if report.amount is not None and report.amount != Money(payment.amount, payment.currency):
        return False
    return None in {payment.reference, report.reference} or payment.reference == report.reference


def _record_details(payment: Payment, report: PaymentReport) -> bool:
    """Store the provider's reference, client secret and URL; return whether one of them is new."""
    stored = (payment.reference, payment.client_secret, payment.redirect_url)
    reported = (report.reference, report.client_secret, report.redirect_url)
    if all(new is None or new == old for old, new in zip(stored, reported, strict=True)):
        return False
    payments.RECORD_DETAILS.execute(
        payment_id=payment.id,
        reference=report.reference,
        client_secret=report.client_secret,
        redirect_url=report.redirect_url,
    )
    return True


def _record_mismatch(actor: Actor, order: Order, payment: Payment, report: PaymentReport) -> Result:
    """Log a report that contradicts our data; record it on the timeline once."""
    _log_mismatch(payment, report.amount)
    if payments.MARK_MISMATCHED.execute(payment_id=payment.id):
        record_payment_event(
            actor,
            order,
            order_changes.PAYMENT_MISMATCHED,
            payment_id=payment.id,
            amount=report.amount.amount if report.amount else payment.amount,
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
