"""The interface of payment providers, and what they report.

Calls block and may take seconds: never call a provider inside a transaction or while a lock is
held. Each call has a timeout. Our id of the payment or refund is the idempotency key, so a call
whose response was lost can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.money import Money
from domain.payments import PaymentState, RefundState


@dataclass(frozen=True)
class ProviderPayment:
    """A payment as the provider knows it."""

    reference: str
    state: PaymentState
    amount: Money
    # What the browser needs to pay: one of them, while the payment is open.
    client_secret: str | None = None
    redirect_url: str | None = None
    failure_code: str | None = None


@dataclass(frozen=True)
class ProviderRefund:
    """A refund as the provider knows it."""

    reference: str
    payment_reference: str
    state: RefundState
    amount: Money
    failure_code: str | None = None


@dataclass(frozen=True)
class ProviderEvent:
    """A verified event of a notification (webhook). Our ids are from its metadata, if present."""

    event_id: str
    type: str
    payment: ProviderPayment | None = None
    refund: ProviderRefund | None = None
    payment_id: UUID | None = None
    refund_id: UUID | None = None


class InvalidSignature(Exception):  # noqa: N818  # named after what is wrong
    """The notification was not signed by the provider, or its signature is too old."""


class ProviderUnavailable(Exception):  # noqa: N818  # named after what is wrong
    """No response, a timeout, or a server error: the outcome of the call is unknown."""


class ProviderRefused(Exception):  # noqa: N818  # named after what is wrong
    """A definite refusal: the call had no effect."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PaymentProvider(Protocol):
    """One payment provider."""

    name: str

    def check(self) -> None:
        """Check that the provider accepts the keys, by a call that changes nothing.

        Raises:
            ProviderRefused: it refuses them.
            ProviderUnavailable: no answer, or another error.
        """

    def create(self, payment_id: UUID, amount: Money, *, order_number: str) -> ProviderPayment:
        """Create a payment. `payment_id` is the idempotency key."""

    def cancel(self, payment_id: UUID, reference: str) -> ProviderPayment:
        """Cancel a payment; return its new state, which is SUCCEEDED if the money has arrived."""

    def fetch(self, reference: str) -> ProviderPayment:
        """Return a payment."""

    def refund(self, refund_id: UUID, reference: str, amount: Money) -> ProviderRefund:
        """Refund a payment in part or in full. `refund_id` is the idempotency key."""

    def fetch_refund(self, reference: str) -> ProviderRefund:
        """Return a refund."""

    def interpret(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Verify and parse a notification (webhook); None for an event type that Orderly ignores.

        Raises:
            InvalidSignature: the provider did not sign this body, or did so too long ago.
        """
