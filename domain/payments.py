"""The rules of payments: their states, and what news of a payment changes in its order.

News of one payment comes from several sources: the provider's answer, its notifications, and the
reconciliation job. It may arrive twice, late and in any order. So a payment and a refund each have
states that only move forward: the result depends on which news arrived, and not on the sequence in
which it arrived, or on how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

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
    """How far an order is paid, over all its payments and refunds."""

    UNPAID = "UNPAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class RefundCause(StrEnum):
    """Why money is returned."""

    REQUESTED = "REQUESTED"  # by an administrator
    ORDER_CANCELLED = "ORDER_CANCELLED"
    LATE_PAYMENT = "LATE_PAYMENT"  # it succeeded after the order was cancelled or returned
    EXCESS_PAYMENT = "EXCESS_PAYMENT"  # the order was already paid, for example by another attempt
    PROVIDER = "PROVIDER"  # somebody made it at the provider, not through this API


# A payment in one of these states may still bring money. An order has at most one such payment.
OPEN = frozenset({PaymentState.PENDING, PaymentState.PROCESSING})

# SUCCEEDED is final and can follow any state: money that arrived is a fact, even if an attempt was
# reported as failed before, or if the cancellation came too late.
PAYMENT_TRANSITIONS: Mapping[PaymentState, frozenset[PaymentState]] = MappingProxyType(
    {
        PaymentState.PENDING: frozenset(PaymentState) - {PaymentState.PENDING},
        PaymentState.PROCESSING: frozenset(PaymentState) - OPEN,
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


@dataclass(frozen=True, slots=True)
class Account:
    """The money side of an order, in minor units.

    `refunded` includes the refunds that are still under way: that money is no longer available.
    """

    status: str
    total: int
    paid: int = 0
    refunded: int = 0

    @property
    def held(self) -> int:
        """The money that was received and is not refunded or being refunded."""
        return self.paid - self.refunded

    @property
    def balance(self) -> int:
        """What is still to be paid."""
        return max(self.total - self.held, 0)

    @property
    def is_payable(self) -> bool:
        """Whether a payment may be started."""
        return self.status == PENDING and self.balance > 0

    @property
    def payment_status(self) -> PaymentStatus:
        """How far the order is paid."""
        if self.held >= self.total:
            return PaymentStatus.PAID
        if self.refunded:
            return PaymentStatus.PARTIALLY_REFUNDED if self.held else PaymentStatus.REFUNDED
        return PaymentStatus.PARTIALLY_PAID if self.paid else PaymentStatus.UNPAID


@dataclass(frozen=True, slots=True)
class Settlement:
    """What news of a payment changes."""

    state: PaymentState
    # The money that arrived now; 0 if none did, or if it was known already.
    captured: int = 0
    # Whether the order becomes PAID.
    pays_order: bool = False
    # How much of the captured money is returned, and why.
    refund: int = 0
    cause: RefundCause | None = None


def settle(account: Account, state: PaymentState, amount: int, news: PaymentState) -> Settlement:
    """Return what news changes for a payment of `amount` in `state`, and for its order.

    The order keeps what it needs of the money, and the rest is returned: all of it if the order is
    cancelled or returned, or was paid before.
    """
    following = next_payment_state(state, news)
    if following == state or following is not PaymentState.SUCCEEDED:
        return Settlement(following)
    if account.status in {CANCELLED, RETURNED}:
        return Settlement(following, amount, refund=amount, cause=RefundCause.LATE_PAYMENT)
    needed = account.balance if account.status == PENDING else 0
    excess = max(amount - needed, 0)
    return Settlement(
        following,
        captured=amount,
        pays_order=account.status == PENDING and amount >= needed,
        refund=excess,
        cause=RefundCause.EXCESS_PAYMENT if excess else None,
    )


def next_payment_state(current: PaymentState, news: PaymentState) -> PaymentState:
    """Return the state after news of a payment; unchanged if the news is old or known."""
    return news if news in PAYMENT_TRANSITIONS[current] else current


def next_refund_state(current: RefundState, news: RefundState) -> RefundState:
    """Return the state after news of a refund; unchanged if the news is old or known."""
    return news if news in REFUND_TRANSITIONS[current] else current


def refundable(state: PaymentState, amount: int, refunded: int) -> int:
    """Return how much of a payment can still be refunded."""
    return amount - refunded if state is PaymentState.SUCCEEDED else 0


def expires(account: Account, *, has_open_payment: bool) -> bool:
    """Return whether an order that was not paid in time is cancelled.

    Not while a payment is open, since its money may be on the way, and not if the order holds
    money: an administrator decides then.
    """
    return account.status == PENDING and not has_open_payment and account.held == 0
