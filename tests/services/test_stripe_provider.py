"""Payments by Stripe: the official library against a fake of Stripe's HTTP interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from domain.actor import Actor
from domain.errors import PaymentProviderUnavailable
from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments import stripe
from integrations.payments.provider import (
    InvalidSignature,
    ProviderRefused,
    ProviderUnavailable,
)
from integrations.payments.stripe import StripeProvider
from services import orders, payment_notifications, payments, process, refunds
from services.orders import Order
from services.payments import Payment
from services.process import configuration
from tests.support.services import AddProduct
from tests.support.stripe_server import (
    SECRET_KEY,
    WEBHOOK_SECRET,
    StripeServer,
    run_stripe_server,
)

pytestmark = pytest.mark.usefixtures("audit_after_test")

SYSTEM = Actor(None, None, None, "request-stripe", "", "")
EUR_30 = Money(3000, "EUR")


@pytest.fixture
def fake() -> Iterator[StripeServer]:
    with run_stripe_server() as server:
        yield server


@pytest.fixture
def provider(fake: StripeServer) -> StripeProvider:
    return StripeProvider(SECRET_KEY, WEBHOOK_SECRET, api_base=fake.url)


def pay(fake: StripeServer, reference: str) -> None:
    fake.set_status(reference, "succeeded")


def test_keys_are_checked_without_a_change(fake: StripeServer, provider: StripeProvider) -> None:
    provider.check()

    with pytest.raises(ProviderRefused):
        StripeProvider("sk_test_wrong", WEBHOOK_SECRET, api_base=fake.url).check()
    fake.status = 500
    with pytest.raises(ProviderUnavailable):
        provider.check()
    assert {} == fake.intents


def test_a_new_payment_waits_for_the_customer(fake: StripeServer, provider: StripeProvider) -> None:
    payment_id = uuid4()

    payment = provider.create(payment_id, EUR_30, order_number="A-1")

    assert (PaymentState.PENDING, EUR_30) == (payment.state, payment.amount)
    assert f"{payment.reference}_secret_x" == payment.client_secret
    assert str(payment_id) == fake.intents[payment.reference]["metadata"]["payment_id"]
    assert {stripe.API_VERSION} == fake.versions


def test_repeating_the_creation_creates_nothing(
    fake: StripeServer, provider: StripeProvider
) -> None:
    payment_id = uuid4()

    first = provider.create(payment_id, EUR_30, order_number="A-1")
    again = provider.create(payment_id, EUR_30, order_number="A-1")

    assert first == again
    assert 1 == len(fake.intents)


def test_a_payment_is_canceled_only_before_it_succeeds(
    fake: StripeServer, provider: StripeProvider
) -> None:
    open_payment = provider.create(uuid4(), EUR_30, order_number="A-1")
    paid = provider.create(uuid4(), EUR_30, order_number="A-2")
    pay(fake, paid.reference)

    canceled = provider.cancel(uuid4(), open_payment.reference)
    with pytest.raises(ProviderRefused) as refusal:
        provider.cancel(uuid4(), paid.reference)

    assert PaymentState.CANCELED is canceled.state
    assert "payment_intent_unexpected_state" == refusal.value.code
    assert PaymentState.SUCCEEDED is provider.fetch(paid.reference).state


def test_a_declined_payment_stays_open_and_says_why(
    fake: StripeServer, provider: StripeProvider
) -> None:
    created = provider.create(uuid4(), EUR_30, order_number="A-1")
    error = {"code": "card_declined", "decline_code": "insufficient_funds"}
    fake.set_status(created.reference, "requires_payment_method", last_payment_error=error)

    payment = provider.fetch(created.reference)

    assert (PaymentState.PENDING, "insufficient_funds") == (payment.state, payment.failure_code)


def test_refunds_never_exceed_the_payment(fake: StripeServer, provider: StripeProvider) -> None:
    paid = provider.create(uuid4(), EUR_30, order_number="A-1")
    pay(fake, paid.reference)
    first, second = uuid4(), uuid4()

    refund = provider.refund(first, paid.reference, Money(2000, "EUR"))
    repeated = provider.refund(first, paid.reference, Money(2000, "EUR"))
    with pytest.raises(ProviderRefused) as refusal:
        provider.refund(second, paid.reference, Money(1001, "EUR"))
    rest = provider.refund(uuid4(), paid.reference, Money(1000, "EUR"))

    assert refund == repeated == provider.fetch_refund(refund.reference)
    assert (RefundState.SUCCEEDED, Money(2000, "EUR")) == (refund.state, refund.amount)
    assert "charge_already_refunded" == refusal.value.code
    assert RefundState.SUCCEEDED is rest.state
    assert 2 == len(fake.refunds)


def test_an_unknown_payment_is_a_refusal(provider: StripeProvider) -> None:
    with pytest.raises(ProviderRefused) as refusal:
        provider.fetch("pi_404")

    assert "resource_missing" == refusal.value.code


@pytest.mark.parametrize(
    ("money", "sent"),
    [
        (Money(1990, "EUR"), "1990"),
        (Money(1990, "JPY"), "1990"),
        (Money(1990, "KWD"), "1990"),
        (Money(5, "ISK"), "500"),
        (Money(500, "MGA"), "5"),
    ],
)
def test_amounts_are_in_the_unit_that_stripe_expects(
    fake: StripeServer, provider: StripeProvider, money: Money, sent: str
) -> None:
    payment = provider.create(uuid4(), money, order_number="A-1")

    assert int(sent) == fake.intents[payment.reference]["amount"]
    assert money == payment.amount


@pytest.mark.parametrize("money", [Money(1995, "KWD"), Money(550, "MGA")])
def test_amounts_that_stripe_cannot_take_are_refused(
    fake: StripeServer, provider: StripeProvider, money: Money
) -> None:
    with pytest.raises(ProviderRefused):
        provider.create(uuid4(), money, order_number="A-1")

    assert 0 == fake.requests


def test_a_signed_event_says_what_happened(fake: StripeServer, provider: StripeProvider) -> None:
    payment_id = uuid4()
    created = provider.create(payment_id, EUR_30, order_number="A-1")
    pay(fake, created.reference)
    intent = fake.intents[created.reference]

    event = provider.interpret(*fake.event("evt_1", "payment_intent.succeeded", intent))

    assert event is not None
    assert event.payment is not None
    assert ("evt_1", "payment_intent.succeeded") == (event.event_id, event.type)
    assert (payment_id, PaymentState.SUCCEEDED) == (event.payment_id, event.payment.state)


def test_an_event_about_a_refund_has_our_id(fake: StripeServer, provider: StripeProvider) -> None:
    paid = provider.create(uuid4(), EUR_30, order_number="A-1")
    pay(fake, paid.reference)
    refund_id = uuid4()
    refund = provider.refund(refund_id, paid.reference, EUR_30)

    event = provider.interpret(
        *fake.event("evt_2", "refund.updated", fake.refunds[refund.reference])
    )

    assert event is not None
    assert (refund, refund_id) == (event.refund, event.refund_id)


def test_other_kinds_of_events_are_not_used(fake: StripeServer, provider: StripeProvider) -> None:
    customer = {"id": "cus_1", "object": "customer"}

    assert provider.interpret(*fake.event("evt_3", "customer.created", customer)) is None


def test_an_event_without_a_valid_signature_is_refused(
    fake: StripeServer, provider: StripeProvider
) -> None:
    intent = {"id": "pi_1", "object": "payment_intent"}
    body, headers = fake.event("evt_4", "payment_intent.succeeded", intent)
    old = fake.event("evt_4", "payment_intent.succeeded", intent, age=301)

    for changed in (
        (body + b" ", headers),
        (body, {}),
        (body, {"stripe-signature": "t=1,v1=00"}),
        (body, {"stripe-signature": "\x00"}),
        old,
    ):
        with pytest.raises(InvalidSignature):
            provider.interpret(*changed)


@pytest.mark.parametrize("status", [500, 503, 401, 429])
def test_an_error_of_the_server_leaves_the_outcome_unknown(
    fake: StripeServer, provider: StripeProvider, status: int
) -> None:
    fake.status = status

    with pytest.raises(ProviderUnavailable):
        provider.create(uuid4(), EUR_30, order_number="A-1")


def test_a_server_that_refuses_connections_leaves_the_outcome_unknown() -> None:
    provider = StripeProvider(SECRET_KEY, WEBHOOK_SECRET, api_base="http://127.0.0.1:9")

    with pytest.raises(ProviderUnavailable):
        provider.fetch("pi_1")


def test_a_server_that_hangs_is_given_up(
    fake: StripeServer, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "_TIMEOUT_SECONDS", (0.2, 0.2))
    impatient = StripeProvider(SECRET_KEY, WEBHOOK_SECRET, api_base=fake.url)
    payment = provider.create(uuid4(), EUR_30, order_number="A-1")
    fake.delay = 5

    with pytest.raises(ProviderUnavailable):
        impatient.fetch(payment.reference)


@pytest.fixture
def order(client: Actor, add_product: AddProduct, provider: StripeProvider) -> Order:
    """Enable Stripe, and place an order."""
    process.bind(configuration(), {"stripe": provider})
    items = [(add_product(price=3000).id, 1)]
    return orders.create_order(actor=client, items=items, idempotency_key=None).order


def start(client: Actor, order: Order) -> Payment:
    return payments.create_payment(
        actor=client, order_id=order.id, provider=None, idempotency_key=None
    ).payment


def notify(fake: StripeServer, event_id: str, kind: str, content: dict[str, Any]) -> None:
    body, headers = fake.event(event_id, kind, content)
    payment_notifications.receive_payment_notification(
        actor=SYSTEM, provider="stripe", body=body, headers=headers
    )


def test_an_order_is_paid_by_an_event_and_refunded(
    fake: StripeServer, order: Order, client: Actor, admin: Actor
) -> None:
    payment = start(client, order)
    assert payment.reference is not None
    pay(fake, payment.reference)
    for event_id in ("evt_1", "evt_1", "evt_2"):
        notify(fake, event_id, "payment_intent.succeeded", fake.intents[payment.reference])

    paid = orders.get_order(actor=client, order_id=order.id)
    refund = refunds.create_refund(
        actor=admin, payment_id=payment.id, amount=None, reason=None, idempotency_key=None
    ).refund

    assert ("PAID", 3000) == (paid.status, paid.amount_paid)
    assert RefundState.SUCCEEDED is refund.status
    assert 3000 == orders.get_order(actor=client, order_id=order.id).amount_refunded


def test_a_payment_without_an_answer_is_continued_by_the_same_request(
    fake: StripeServer, order: Order, client: Actor
) -> None:
    fake.status = 500
    with pytest.raises(PaymentProviderUnavailable):
        start(client, order)
    fake.status = None

    payment = start(client, order)

    assert payment.reference in fake.intents
    assert 1 == len(fake.intents)
