"""A payment provider in memory, which a test controls: what it answers, and what customers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import (
    InvalidSignature,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    ProviderRefused,
    ProviderUnavailable,
)


def answer_normally(_call: str) -> None:
    """Let a call take effect, and return its answer."""


@dataclass
class MemoryProvider:
    """Keeps payments and refunds like a provider, idempotent by our ids.

    `before` and `after` are called with the name of each call: before it takes effect, and before
    its answer is returned. They may raise `ProviderUnavailable`, or anything else.
    """

    name: str = "memory"
    payments: dict[str, ProviderPayment] = field(default_factory=dict)
    refunds: dict[str, ProviderRefund] = field(default_factory=dict)
    our_ids: dict[str, UUID] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = field(default=answer_normally)
    after: Callable[[str], None] = field(default=answer_normally)
    _lock: Any = field(default_factory=threading.RLock)

    def create(self, payment_id: UUID, amount: Money, *, order_number: str) -> ProviderPayment:
        assert order_number
        with self._call("create"):
            reference = f"pay_{payment_id.hex}"
            self.our_ids[reference] = payment_id
            if reference not in self.payments:
                self.payments[reference] = ProviderPayment(
                    reference, PaymentState.PENDING, amount, redirect_url=f"https://pay/{reference}"
                )
        return self._answer("create", self.payments[reference])

    def cancel(self, payment_id: UUID, reference: str) -> ProviderPayment:
        with self._call("cancel"):
            assert self.our_ids[reference] == payment_id
            if self.payments[reference].state is PaymentState.PENDING:
                self._set(reference, PaymentState.CANCELED)
        return self._answer("cancel", self.payments[reference])

    def check(self) -> None:
        with self._call("check"):
            pass

    def fetch(self, reference: str) -> ProviderPayment:
        with self._call("fetch"):
            pass
        return self._answer("fetch", self.payments[reference])

    def refund(self, refund_id: UUID, reference: str, amount: Money) -> ProviderRefund:
        with self._call("refund"):
            own = f"re_{refund_id.hex}"
            self.our_ids[own] = refund_id
            if own not in self.refunds:
                self.add_refund(own, reference, amount)
        return self._answer("refund", self.refunds[own])

    def fetch_refund(self, reference: str) -> ProviderRefund:
        with self._call("fetch_refund"):
            pass
        return self._answer("fetch_refund", self.refunds[reference])

    def interpret(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Return the event of a body that `event` has made."""
        if headers.get("signature") != "valid":
            raise InvalidSignature
        event = json.loads(body)
        if event["type"] == "unused":
            return None
        reference = event["reference"]
        payment, refund = self.payments.get(reference), self.refunds.get(reference)
        if payment is not None:
            payment = replace(payment, state=PaymentState(event["state"]))
        if refund is not None:
            refund = replace(refund, state=RefundState(event["state"]))
        owner = reference if refund is None else refund.payment_reference
        return ProviderEvent(
            event["id"],
            event["type"],
            payment,
            refund,
            payment_id=self.our_ids.get(owner) if event["names_our_id"] else None,
            refund_id=self.our_ids.get(reference) if refund is not None else None,
        )

    def event(
        self, event_id: str, reference: str, state: str, *, names_our_id: bool = True
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of a notification."""
        event = {
            "id": event_id,
            "type": f"payment.{state.lower()}",
            "reference": reference,
            "state": state,
            "names_our_id": names_our_id,
        }
        return json.dumps(event).encode(), {"signature": "valid"}

    def pay(self, payment_id: UUID) -> str:
        """Let the customer pay, if the payment was not canceled; return the reference."""
        reference = f"pay_{payment_id.hex}"
        with self._lock:
            if self.payments[reference].state is PaymentState.PENDING:
                self._set(reference, PaymentState.SUCCEEDED)
        return reference

    def pay_late(self, payment_id: UUID) -> str:
        """Let the money arrive even if the payment was canceled; return the reference."""
        reference = f"pay_{payment_id.hex}"
        with self._lock:
            self._set(reference, PaymentState.SUCCEEDED)
        return reference

    def add_refund(self, reference: str, payment_reference: str, amount: Money) -> None:
        """Refund a payment, as somebody can do at the provider."""
        with self._lock:
            payment = self.payments[payment_reference]
            returned = sum(
                one.amount.amount
                for one in self.refunds.values()
                if one.payment_reference == payment_reference
            )
            if (
                payment.state is not PaymentState.SUCCEEDED
                or returned + amount.amount > payment.amount.amount
            ):
                raise ProviderRefused("charge_already_refunded")
            self.refunds[reference] = ProviderRefund(
                reference, payment_reference, RefundState.SUCCEEDED, amount
            )

    def _set(self, reference: str, state: PaymentState) -> None:
        self.payments[reference] = replace(self.payments[reference], state=state)

    def _call(self, call: str) -> Any:
        self.calls.append(call)
        self.before(call)
        return self._lock

    def _answer(self, call: str, answer: Any) -> Any:
        self.after(call)
        return answer


def unavailable(*calls: str) -> Callable[[str], None]:
    """Return a function for `before` or `after` with which these calls get no answer."""

    def fail(call: str) -> None:
        if call in calls or not calls:
            raise ProviderUnavailable

    return fail
