"""The state machines of payments and refunds, and what a reported state changes in the order.

Several sources report the state of a payment: the provider's response, its notifications
(webhooks), and the reconciliation job. A report can be a duplicate, late or out of order. So the
states of payments and refunds only move forward, and applying reports is idempotent and
commutative: the result depends only on which states were reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from domain.order_status import CANCELLED, PENDING, RETURNED


class PaymentState(StrEnum):
    """The state of one payment."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    SUCCEEDED = "SUCCEEDED"


class RefundState(StrEnum):
    """The state of one refund."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class PaymentStatus(StrEnum):
    """Whether an order is paid, computed from all its payments and refunds."""

    UNPAID = "UNPAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class RefundCause(StrEnum):
    """Why a refund was created."""

    REQUESTED = "REQUESTED"  # by an administrator
    ORDER_CANCELLED = "ORDER_CANCELLED"
    LATE_PAYMENT = "LATE_PAYMENT"  # it succeeded after the order was cancelled or returned
    EXCESS_PAYMENT = "EXCESS_PAYMENT"  # the order was already paid, for example by another attempt
    PROVIDER = "PROVIDER"  # created at the provider, not through this API


# The states in which a payment waits for the money. An order has at most one open payment.
OPEN_STATES = frozenset({PaymentState.PENDING, PaymentState.PROCESSING})

# SUCCEEDED is final and can follow any state: money that arrived is a fact, even if an attempt was
# reported as failed before, or if the cancellation came too late.
PAYMENT_TRANSITIONS: Mapping[PaymentState, frozenset[PaymentState]] = MappingProxyType(
    {
        PaymentState.PENDING: frozenset(PaymentState) - {PaymentState.PENDING},
        PaymentState.PROCESSING: frozenset(PaymentState) - OPEN_STATES,
        PaymentState.FAILED: frozenset({PaymentState.CANCELED, PaymentState.SUCCEEDED}),
        PaymentState.CANCELED: frozenset({PaymentState.SUCCEEDED}),
        PaymentState.SUCCEEDED: frozenset(),
    }
)

# FAILED is final and can follow SUCCEEDED: a bank can reject a refund days after the provider has
# reported its success.
REFUND_TRANSITIONS: Mapping[RefundState, frozenset[RefundState]] = MappingProxyType(
    {
        RefundState.PENDING: frozenset({RefundState.SUCCEEDED, RefundState.FAILED}),
        RefundState.SUCCEEDED: frozenset({RefundState.FAILED}),
        RefundState.FAILED: frozenset(),
    }
)


# A named tuple, since one is created for each order of a list: see `Actor`.
class OrderBalance(NamedTuple):
    """The total, payments and refunds of an order, in minor units.

    `refunded` includes pending refunds: their money is reserved, and no longer available.
    """

    status: str
    total: int
    paid: int = 0
    refunded: int = 0

    @property
    def net_paid(self) -> int:
        """Payments minus refunds."""
        return self.paid - self.refunded

    @property
    def outstanding(self) -> int:
        """The amount that remains to be paid."""
        return max(self.total - self.net_paid, 0)

    @property
    def is_payable(self) -> bool:
        """Whether a payment may be created."""
        return self.status == PENDING and self.outstanding > 0

    @property
    def payment_status(self) -> PaymentStatus:
        """Whether the order is paid."""
        if self.net_paid >= self.total:
            return PaymentStatus.PAID
        if self.refunded:
            return PaymentStatus.PARTIALLY_REFUNDED if self.net_paid else PaymentStatus.REFUNDED
        return PaymentStatus.PARTIALLY_PAID if self.paid else PaymentStatus.UNPAID


@dataclass(frozen=True, slots=True)
class PaymentChange:
    """What a reported state changes in a payment and its order."""

    state: PaymentState
    # The amount that this report adds to the order; 0 if no money arrived, or if an earlier report
    # has added it.
    captured: int = 0
    # Whether the order becomes PAID.
    pays_order: bool = False
    # How much of the captured money must be refunded, and why.
    refund: int = 0
    cause: RefundCause | None = None


def payment_change(
    order: OrderBalance, state: PaymentState, amount: int, reported: PaymentState
) -> PaymentChange:
    """Return what a reported state changes for a payment of `amount` in `state`, and for its order.

    Money above the outstanding amount is refunded: all of it if the order was already paid, or is
    cancelled or returned.
    """
    next_state = next_payment_state(state, reported)
    if next_state == state or next_state is not PaymentState.SUCCEEDED:
        return PaymentChange(next_state)
    if order.status in {CANCELLED, RETURNED}:
        return PaymentChange(next_state, amount, refund=amount, cause=RefundCause.LATE_PAYMENT)
    needed = order.outstanding if order.status == PENDING else 0
    excess = max(amount - needed, 0)
    return PaymentChange(
        next_state,
        captured=amount,
        pays_order=order.status == PENDING and amount >= needed,
        refund=excess,
        cause=RefundCause.EXCESS_PAYMENT if excess else None,
    )


def next_payment_state(current: PaymentState, reported: PaymentState) -> PaymentState:
    """Return a payment's state after a report; unchanged if the report is stale or a duplicate."""
    return reported if reported in PAYMENT_TRANSITIONS[current] else current


def next_refund_state(current: RefundState, reported: RefundState) -> RefundState:
    """Return a refund's state after a report; unchanged if the report is stale or a duplicate."""
    return reported if reported in REFUND_TRANSITIONS[current] else current


def refundable(state: PaymentState, amount: int, refunded: int) -> int:
    """Return how much of a payment can still be refunded."""
    return amount - refunded if state is PaymentState.SUCCEEDED else 0


def expires(order: OrderBalance, *, has_open_payment: bool) -> bool:
    """Return whether an order that was not paid in time is cancelled.

    An order with an open payment does not expire: the payment can still succeed. Nor does a partly
    paid order: an administrator decides whether to cancel it.
    """
    return order.status == PENDING and not has_open_payment and order.net_paid == 0
