"""What customers and banks do at a provider, for tests that run with several providers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from domain.payments import PaymentState
from integrations.payments import sandbox_events
from integrations.payments.provider import PaymentProvider
from integrations.payments.sandbox import Outcome, SandboxProvider
from integrations.payments.stripe import StripeProvider
from tests.support.stripe_server import (
    SECRET_KEY,
    WEBHOOK_SECRET,
    StripeServer,
    run_stripe_server,
)


class Notification(NamedTuple):
    """A signed notification."""

    body: bytes
    headers: dict[str, str]


class Desk(Protocol):
    """A provider, and what happens there."""

    # After a decline: the customer can try again, or has to start another payment.
    declined: PaymentState
    decline_code: str

    @property
    def provider(self) -> PaymentProvider: ...

    def pay(self, reference: str) -> None:
        """Let the money of a payment arrive."""

    def decline(self, reference: str) -> None:
        """Decline the customer's card."""

    def process(self, reference: str) -> None:
        """Let the bank take its time."""

    def notification(self, reference: str, *, age: int = 0) -> Notification:
        """Return the newest notification of a payment or a refund, signed `age` seconds ago."""

    def unused_notification(self) -> Notification:
        """Return a notification that is of no use for Orderly."""


class StripeDesk:
    """Stripe, as far as the fake has it."""

    declined = PaymentState.PENDING
    decline_code = "insufficient_funds"

    def __init__(self, fake: StripeServer) -> None:
        self._fake = fake
        self._numbers = itertools.count(1)
        self.provider = StripeProvider(SECRET_KEY, WEBHOOK_SECRET, api_base=fake.url)

    def pay(self, reference: str) -> None:
        self._fake.set_status(reference, "succeeded")

    def decline(self, reference: str) -> None:
        error = {"code": "card_declined", "decline_code": self.decline_code}
        self._fake.set_status(reference, "requires_payment_method", last_payment_error=error)

    def process(self, reference: str) -> None:
        self._fake.set_status(reference, "processing")

    def notification(self, reference: str, *, age: int = 0) -> Notification:
        content = self._fake.intents.get(reference) or self._fake.refunds[reference]
        kind = f"{content['object']}.{content['status']}"
        event = self._fake.event(f"evt_{next(self._numbers)}", kind, content, age=age)
        return Notification(*event)

    def unused_notification(self) -> Notification:
        event = {"id": "cus_1", "object": "customer"}
        return Notification(*self._fake.event("evt_0", "customer.created", event))


class SandboxDesk:
    """The sandbox."""

    declined = PaymentState.FAILED
    decline_code = "card_declined"

    def __init__(self, directory: Path) -> None:
        # A late payment stays PROCESSING until `pay`.
        self.provider = SandboxProvider(directory, late_seconds=3600)

    def pay(self, reference: str) -> None:
        self.provider.settle(reference, Outcome.SUCCEED)

    def decline(self, reference: str) -> None:
        self.provider.settle(reference, Outcome.DECLINE)

    def process(self, reference: str) -> None:
        self.provider.settle(reference, Outcome.SUCCEED_LATE)

    def notification(self, reference: str, *, age: int = 0) -> Notification:
        *_, body = (
            event.body
            for event in self.provider.due_events(100)
            if reference in [part.get("reference") for part in _parts(event.body)]
        )
        return Notification(body, sandbox_events.sign(self.provider.secret(), body, age=age))

    def unused_notification(self) -> Notification:
        body = b'{"id": "evt_0", "type": "customer.created", "customer": {}}'
        return Notification(body, sandbox_events.sign(self.provider.secret(), body))


def _parts(body: bytes) -> list[dict[str, str]]:
    return [part for part in json.loads(body).values() if isinstance(part, dict)]


@contextmanager
def open_desk(name: str, directory: Path) -> Iterator[Desk]:
    """Provide the desk of `stripe` or `sandbox`; a directory is for the sandbox's file."""
    if name == "sandbox":
        yield SandboxDesk(directory)
        return
    with run_stripe_server() as fake:
        yield StripeDesk(fake)
