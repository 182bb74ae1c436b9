"""The reconciliation job: polls the providers for the states of open payments and refunds.

It repeats calls whose response was lost, with our id as idempotency key, and finds states that no
notification has reported. After a day without a definite response it gives up: it logs an error and
adds an entry to the list of notifications.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import structlog

from database.transactions import autocommit
from domain.actor import Actor
from domain.errors import PaymentProviderNotEnabled, PaymentProviderUnavailable
from domain.order_status import PENDING
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import ProviderRefused
from models import order as orders
from models import payment as payments
from models import refund as refunds
from models.due_check import DueCheck
from models.payment import Payment
from services import payment_notifications, payment_providers, process
from services.payment_settling import payment_report, settle
from services.payments import cancel_open_payment, create_at_provider, find_payment, is_unanswered
from services.refunds import find_refund, sync_with_provider

# Exponential backoff: the pause before the second check, which doubles with each check, and the
# maximum pause.
MIN_SECONDS = 10
MAX_SECONDS = 600
BATCH = 20

_DAY_SECONDS = 24 * 3600
# A bank debit may take this long.
_PROCESSING_SECONDS = 14 * _DAY_SECONDS


def reconcile_payments(*, actor: Actor) -> int:
    """Check the payments that are due; return how many are no longer open.

    An unavailable provider or an error with one payment does not stop the others; the first
    unexpected error is raised at the end.
    """
    return _for_each(_claim(payments.CLAIM_DUE.all), lambda due: _check_payment(actor, due))


def reconcile_refunds(*, actor: Actor) -> int:
    """Send the refunds that are due, or fetch their state; return how many are complete."""
    return _for_each(_claim(refunds.CLAIM_DUE.all), lambda due: _check_refund(actor, due))


@autocommit
def _claim(claim: Callable[..., list[DueCheck]]) -> list[DueCheck]:
    return claim(min_seconds=MIN_SECONDS, max_seconds=MAX_SECONDS, limit=BATCH)


def _for_each(dues: list[DueCheck], check: Callable[[DueCheck], bool]) -> int:
    completed, errors = 0, []
    for due in dues:
        try:
            completed += check(due)
        except Exception as error:  # do not let one unexpected error stop the other checks
            errors.append(error)
    if errors:
        raise errors[0]
    return completed


def _check_payment(actor: Actor, due: DueCheck) -> bool:
    payment = find_payment(due.id)
    is_processing = payment.status is PaymentState.PROCESSING
    is_old = due.age > (_PROCESSING_SECONDS if is_processing else _DAY_SECONDS)
    try:
        _update_state(actor, payment, is_old=is_old)
    except (PaymentProviderUnavailable, PaymentProviderNotEnabled, ProviderRefused) as error:
        _log_postponed(error, payment_id=payment.id)
    payment = find_payment(due.id)
    if payment.is_open and is_old:
        _give_up(payment.provider, "payment", payment.id)
    return not payment.is_open


def _update_state(actor: Actor, payment: Payment, *, is_old: bool) -> None:
    """Update the state of a payment. Cancel it if it is old, or if its order is not pending."""
    if not payment.is_open:
        return
    if is_unanswered(payment):
        create_at_provider(actor, payment)
        payment = find_payment(payment.id)
    if payment.is_open and (is_old or _status_of_order(payment) != PENDING):
        cancel_open_payment(actor, payment)
    elif payment.is_open and payment.reference is not None:
        provider = payment_providers.find(payment.provider)
        response = payment_providers.call(provider, provider.fetch, payment.reference)
        settle(actor=actor, payment_id=payment.id, report=payment_report(response))
        payment_notifications.process_unmatched(actor, payment.id)


@autocommit
def _status_of_order(payment: Payment) -> str | None:
    order = orders.FIND.one(order_id=payment.order_id)
    return order.status if order else None


def _check_refund(actor: Actor, due: DueCheck) -> bool:
    refund = find_refund(due.id)
    if refund.status is RefundState.PENDING:
        try:
            sync_with_provider(actor, refund)
        except (PaymentProviderUnavailable, PaymentProviderNotEnabled) as error:
            _log_postponed(error, refund_id=refund.id)
        refund = find_refund(due.id)
    is_old = due.age > (_DAY_SECONDS if refund.reference is None else _PROCESSING_SECONDS)
    if refund.status is RefundState.PENDING and is_old:
        _give_up(find_payment(refund.payment_id).provider, "refund", refund.id)
    return refund.status is not RefundState.PENDING


def _log_postponed(error: Exception, **subject: UUID) -> None:
    names = {name: str(value) for name, value in subject.items()}
    structlog.get_logger("orderly").warning(
        "payment_check_postponed", reason=type(error).__name__, **names
    )


def _give_up(provider: str, kind: str, subject: UUID) -> None:
    _stop_checks(kind, subject)
    detail = f"No definite answer about the {kind} {subject} within a day."
    payment_notifications.report_given_up(
        provider=provider, subject=f"{kind}:{subject}", detail=detail
    )
    process.state().payment_checks_given_up += 1
    structlog.get_logger("orderly").error("payment_check_given_up", kind=kind, subject=str(subject))


@autocommit
def _stop_checks(kind: str, subject: UUID) -> None:
    if kind == "payment":
        payments.STOP_CHECKS.execute(id=subject)
    else:
        refunds.STOP_CHECKS.execute(id=subject)
