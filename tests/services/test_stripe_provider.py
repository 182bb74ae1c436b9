"""What only Stripe does; `test_payment_providers.py` tests what all providers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from domain.actor import Actor
from domain.errors import PaymentProviderUnavailable
from domain.money import Money
from domain.payments import PaymentState
from integrations.payments import stripe
from integrations.payments.provider import (
    ProviderRefused,
    ProviderUnavailable,
)
from integrations.payments.stripe import StripeProvider
from services import orders, payments, process
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

EUR_30 = Money(3000, "EUR")


@pytest.fixture
def fake() -> Iterator[StripeServer]:
    with run_stripe_server() as server:
        yield server


@pytest.fixture
def provider(fake: StripeServer) -> StripeProvider:
    return StripeProvider(SECRET_KEY, WEBHOOK_SECRET, api_base=fake.url)


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
