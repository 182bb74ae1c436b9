"""The sandbox: payments without money, for the demo, for front ends and for tests.

It behaves like a provider with a payment page: the customer is sent to the page, the outcome is
chosen there, and signed notifications report it. Each outcome is deterministic.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from domain.money import Money
from domain.payments import OPEN_STATES, PaymentState, RefundState
from integrations.payments import sandbox_events
from integrations.payments.provider import (
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    ProviderRefused,
)
from integrations.payments.sandbox_store import (
    Changes,
    SandboxStore,
    StoredEvent,
    StoredPayment,
    StoredRefund,
)

NAME = "sandbox"
# The path of the payment page at this server; the payment's id follows.
PAGE = "/sandbox/payments/"

# The secret of the demo. Like the passwords of the demo, it is public.
DEMO_SECRET = "the public secret of the demo's payment sandbox"  # noqa: S105

# How long a payment that succeeds late is PROCESSING.
_LATE_SECONDS = 5.0


class Outcome(StrEnum):
    """What happens to a payment on the payment page."""

    SUCCEED = "SUCCEED"
    DECLINE = "DECLINE"
    REQUIRE_ACTION = "REQUIRE_ACTION"
    SUCCEED_LATE = "SUCCEED_LATE"


class SandboxProvider:
    """The sandbox of the shop whose data directory this is."""

    name = NAME

    def __init__(
        self,
        directory: Path,
        *,
        secret: bytes | None = None,
        late_seconds: float = _LATE_SECONDS,
    ) -> None:
        self._store = SandboxStore(directory)
        self._secret = secret
        self._late_seconds = late_seconds

    def check(self) -> None:
        """Check that the file can be used, if there is one.

        Raises:
            ProviderUnavailable: it cannot be read or written.
        """
        if self._store.exists():
            with self._store.change():
                pass

    def create(self, payment_id: UUID, amount: Money, *, order_number: str) -> ProviderPayment:
        """Create a payment; the customer pays on its page."""
        del order_number
        reference = f"sandbox_{payment_id.hex}"
        with self._change() as changes:
            changes.add_payment(reference, str(payment_id), amount)
            return _answer(_find(changes, reference))

    def cancel(self, payment_id: UUID, reference: str) -> ProviderPayment:
        """Cancel a payment. Refused if it is PROCESSING, or has succeeded or failed."""
        del payment_id
        with self._change() as changes:
            payment = _find(changes, reference)
            if payment.state is PaymentState.PENDING:
                _set_state(changes, reference, PaymentState.CANCELED, "payment.canceled")
            elif payment.state is not PaymentState.CANCELED:
                raise ProviderRefused("payment_not_pending")
            return _answer(_find(changes, reference))

    def fetch(self, reference: str) -> ProviderPayment:
        """Return a payment."""
        with self._change() as changes:
            return _answer(_find(changes, reference))

    def refund(self, refund_id: UUID, reference: str, amount: Money) -> ProviderRefund:
        """Refund a payment in part or completely; it succeeds at once."""
        own = f"sandbox_refund_{refund_id.hex}"
        with self._change() as changes:
            payment, refund = _find(changes, reference), changes.refund(own)
            if refund is None:
                left = payment.amount.amount - changes.amount_refunded(reference)
                if payment.state is not PaymentState.SUCCEEDED or amount.amount > left:
                    raise ProviderRefused("refund_exceeds_payment")
                refund = StoredRefund(own, str(refund_id), reference, amount, RefundState.SUCCEEDED)
                changes.add_refund(refund)
                _notify(changes, "refund.succeeded", refund)
            return _refund_answer(refund)

    def fetch_refund(self, reference: str) -> ProviderRefund:
        """Return a refund."""
        with self._change() as changes:
            refund = changes.refund(reference)
            if refund is None:
                raise ProviderRefused("refund_not_found")
            return _refund_answer(refund)

    def interpret(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Return what a notification says; None if it has another format.

        Raises:
            InvalidSignature: the signature is missing, wrong, or more than five minutes old.
        """
        sandbox_events.verify(self.secret(), body, headers)
        return sandbox_events.parse(body)

    def settle(self, reference: str, outcome: Outcome) -> ProviderPayment:
        """Do what the customer has chosen on the payment page. Repeating it changes nothing.

        Raises:
            ProviderRefused: the payment has another outcome already, or was canceled.
            ProviderUnavailable: the sandbox's file cannot be used.
        """
        with self._change() as changes:
            payment = _find(changes, reference)
            if payment.state is not _STATES[outcome]:
                if payment.state not in OPEN_STATES or outcome is Outcome.REQUIRE_ACTION:
                    raise ProviderRefused("payment_not_open")
                self._apply(changes, reference, outcome)
            elif outcome is Outcome.REQUIRE_ACTION and not payment.needs_confirmation:
                changes.ask_for_confirmation(reference)
                _notify(changes, "payment.requires_action", _find(changes, reference))
            return _answer(_find(changes, reference))

    def _apply(self, changes: Changes, reference: str, outcome: Outcome) -> None:
        if outcome is Outcome.SUCCEED:
            _set_state(changes, reference, PaymentState.SUCCEEDED, "payment.succeeded")
        elif outcome is Outcome.DECLINE:
            changes.set_state(reference, PaymentState.FAILED, "card_declined")
            _notify(changes, "payment.failed", _find(changes, reference))
        else:
            changes.succeed_later(reference, self._late_seconds)
            _notify(changes, "payment.processing", _find(changes, reference))

    def secret(self) -> bytes:
        """Return the key that signs notifications: the given one, or that of the file."""
        if self._secret is not None:
            return self._secret
        with self._store.change() as changes:
            return changes.secret()

    def due_events(self, limit: int) -> list[StoredEvent]:
        """Return the events to deliver now, oldest first."""
        if not self._store.exists():
            return []
        with self._change() as changes:
            return changes.due_events(limit)

    def complete_event(self, event_id: str) -> None:
        """Forget an event that was delivered, or is given up."""
        with self._store.change() as changes:
            changes.delete_event(event_id)

    def postpone_event(self, event_id: str, seconds: float) -> None:
        """Count a failed delivery; the next one is due in some seconds."""
        with self._store.change() as changes:
            changes.postpone_event(event_id, seconds)

    @contextmanager
    def _change(self) -> Iterator[Changes]:
        """Like `SandboxStore.change`, after payments have succeeded whose time has come."""
        with self._store.change() as changes:
            for payment in changes.late_payments():
                _set_state(changes, payment.reference, PaymentState.SUCCEEDED, "payment.succeeded")
            yield changes


# The state that an outcome leads to.
_STATES = {
    Outcome.SUCCEED: PaymentState.SUCCEEDED,
    Outcome.DECLINE: PaymentState.FAILED,
    Outcome.REQUIRE_ACTION: PaymentState.PENDING,
    Outcome.SUCCEED_LATE: PaymentState.PROCESSING,
}


def _find(changes: Changes, reference: str) -> StoredPayment:
    payment = changes.payment(reference)
    if payment is None:
        raise ProviderRefused("payment_not_found")
    return payment


def _set_state(changes: Changes, reference: str, state: PaymentState, kind: str) -> None:
    changes.set_state(reference, state)
    _notify(changes, kind, _find(changes, reference))


def _notify(changes: Changes, kind: str, subject: StoredPayment | StoredRefund) -> None:
    event_id = f"evt_{secrets.token_hex(12)}"
    changes.add_event(event_id, sandbox_events.body_of(event_id, kind, subject))


def _answer(payment: StoredPayment) -> ProviderPayment:
    page = PAGE + payment.payment_id + ("?step=confirm" if payment.needs_confirmation else "")
    return ProviderPayment(
        payment.reference,
        payment.state,
        payment.amount,
        redirect_url=page if payment.state in OPEN_STATES else None,
        failure_code=payment.failure_code,
    )


def _refund_answer(refund: StoredRefund) -> ProviderRefund:
    return ProviderRefund(refund.reference, refund.payment_reference, refund.state, refund.amount)
