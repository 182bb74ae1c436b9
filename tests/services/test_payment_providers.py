"""What every payment provider must do: the same tests with the sandbox and with Stripe.

Stripe is its official library against a fake of its HTTP interface.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain.actor import Actor
from domain.errors import PaymentNotCancelable
from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import (
    InvalidSignature,
    PaymentProvider,
    ProviderPayment,
    ProviderRefused,
)
from services import (
    orders,
    payment_notifications,
    payments,
    process,
    reconciliation,
    refunds,
)
from services.orders import Order
from services.payments import Payment
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.payment_desks import Desk, Notification, open_desk
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

SYSTEM = Actor(None, None, None, "request-provider", "", "")
EUR_30 = Money(3000, "EUR")


@pytest.fixture(params=["sandbox", "stripe"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(request.param, tmp_path) as desk:
        yield desk


@pytest.fixture
def provider(desk: Desk) -> PaymentProvider:
    return desk.provider


def create(provider: PaymentProvider) -> ProviderPayment:
    return provider.create(uuid4(), EUR_30, order_number="A-1")


def test_a_new_payment_waits_for_the_customer(provider: PaymentProvider) -> None:
    payment = create(provider)

    assert (PaymentState.PENDING, EUR_30) == (payment.state, payment.amount)
    assert 1 == [payment.client_secret, payment.redirect_url].count(None)
    assert payment == provider.fetch(payment.reference)


def test_repeating_the_creation_creates_nothing(provider: PaymentProvider) -> None:
    payment_id = uuid4()

    first, *others = run_concurrently(
        *[lambda: provider.create(payment_id, EUR_30, order_number="A-1")] * 4
    )

    assert [first] * 3 == others


def test_a_payment_is_canceled_only_before_it_succeeds(
    desk: Desk, provider: PaymentProvider
) -> None:
    pending, processing, paid = create(provider), create(provider), create(provider)
    desk.process(processing.reference)
    desk.pay(paid.reference)

    canceled = provider.cancel(uuid4(), pending.reference)
    for payment in (processing, paid):
        with pytest.raises(ProviderRefused):
            provider.cancel(uuid4(), payment.reference)

    assert PaymentState.CANCELED is canceled.state
    assert PaymentState.PROCESSING is provider.fetch(processing.reference).state
    assert PaymentState.SUCCEEDED is provider.fetch(paid.reference).state


def test_a_declined_payment_says_why(desk: Desk, provider: PaymentProvider) -> None:
    reference = create(provider).reference
    desk.decline(reference)

    payment = provider.fetch(reference)

    assert (desk.declined, desk.decline_code) == (payment.state, payment.failure_code)


def test_nothing_is_refunded_before_the_money_has_arrived(provider: PaymentProvider) -> None:
    reference = create(provider).reference

    with pytest.raises(ProviderRefused):
        provider.refund(uuid4(), reference, Money(1, "EUR"))


def test_refunds_never_exceed_the_payment(desk: Desk, provider: PaymentProvider) -> None:
    reference = create(provider).reference
    desk.pay(reference)
    first = uuid4()

    refund = provider.refund(first, reference, Money(2000, "EUR"))
    repeated = provider.refund(first, reference, Money(2000, "EUR"))
    with pytest.raises(ProviderRefused):
        provider.refund(uuid4(), reference, Money(1001, "EUR"))
    rest = provider.refund(uuid4(), reference, Money(1000, "EUR"))

    assert refund == repeated == provider.fetch_refund(refund.reference)
    assert (RefundState.SUCCEEDED, Money(2000, "EUR"), reference) == (
        refund.state,
        refund.amount,
        refund.payment_reference,
    )
    assert RefundState.SUCCEEDED is rest.state


def test_an_unknown_payment_or_refund_is_a_refusal(provider: PaymentProvider) -> None:
    for call in (provider.fetch, provider.fetch_refund):
        with pytest.raises(ProviderRefused):
            call("unknown_404")


def test_a_notification_says_what_happened(desk: Desk, provider: PaymentProvider) -> None:
    payment_id = uuid4()
    reference = provider.create(payment_id, EUR_30, order_number="A-1").reference
    desk.pay(reference)

    event = provider.interpret(*desk.notification(reference))

    assert event is not None
    assert event.payment is not None
    assert event.event_id.startswith("evt_")
    assert (payment_id, reference, PaymentState.SUCCEEDED, EUR_30) == (
        event.payment_id,
        event.payment.reference,
        event.payment.state,
        event.payment.amount,
    )


def test_a_notification_of_a_refund_has_our_id(desk: Desk, provider: PaymentProvider) -> None:
    reference = create(provider).reference
    desk.pay(reference)
    refund_id = uuid4()
    refund = provider.refund(refund_id, reference, EUR_30)

    event = provider.interpret(*desk.notification(refund.reference))

    assert event is not None
    assert (refund, refund_id) == (event.refund, event.refund_id)


def test_a_notification_of_another_kind_is_not_used(desk: Desk, provider: PaymentProvider) -> None:
    assert provider.interpret(*desk.unused_notification()) is None


def test_a_notification_without_a_valid_signature_is_refused(
    desk: Desk, provider: PaymentProvider
) -> None:
    reference = create(provider).reference
    desk.pay(reference)
    body, headers = desk.notification(reference)
    (name,) = headers

    for changed in (
        (body + b" ", headers),
        (body, {}),
        *((body, {name: value}) for value in ("", "t=1,v1=00", "t=,v1=", "\x00", "v1=ÿ")),
        desk.notification(reference, age=301),
    ):
        with pytest.raises(InvalidSignature):
            provider.interpret(*changed)


@pytest.fixture
def order(client: Actor, add_product: AddProduct, provider: PaymentProvider) -> Order:
    """Enable the provider, and place an order."""
    process.bind(configuration(), {provider.name: provider})
    items = [(add_product(price=3000).id, 1)]
    return orders.create_order(actor=client, items=items, idempotency_key=None).order


def start(client: Actor, order: Order) -> tuple[Payment, str]:
    """Start a payment; return it and the provider's reference."""
    payment = payments.create_payment(
        actor=client, order_id=order.id, provider=None, idempotency_key=None
    ).payment
    assert payment.reference is not None
    return payment, payment.reference


def notify(desk: Desk, notification: Notification) -> None:
    payment_notifications.receive_payment_notification(
        actor=SYSTEM,
        provider=desk.provider.name,
        body=notification.body,
        headers=notification.headers,
    )


def money_of(actor: Actor, order: Order) -> tuple[str, str, int, int]:
    now = orders.get_order(actor=actor, order_id=order.id)
    return now.status, now.balance.payment_status, now.amount_paid, now.amount_refunded


def event_types(actor: Actor, order: Order) -> list[str]:
    page = orders.list_order_events(actor=actor, order_id=order.id, limit=100)
    return [event.type for event in page.items]


def test_an_order_is_paid_by_a_notification_and_refunded(
    desk: Desk, order: Order, client: Actor, admin: Actor
) -> None:
    payment, reference = start(client, order)
    desk.pay(reference)
    notification = desk.notification(reference)
    for _ in range(3):
        notify(desk, notification)
    assert ("PAID", "PAID", 3000, 0) == money_of(client, order)

    refund = refunds.create_refund(
        actor=admin,
        payment_id=payment.id,
        amount=Money(1000, "EUR"),
        reason=None,
        idempotency_key=None,
    ).refund
    assert refund.reference is not None
    notify(desk, desk.notification(refund.reference))

    assert ("PAID", "PARTIALLY_REFUNDED", 3000, 1000) == money_of(client, order)
    assert RefundState.SUCCEEDED is refund.status
    assert 1 == event_types(client, order).count("STATUS_CHANGED")
    assert 1 == event_types(client, order).count("REFUND_SUCCEEDED")


def test_after_a_decline_the_order_can_still_be_paid(
    desk: Desk, order: Order, client: Actor
) -> None:
    _, reference = start(client, order)
    desk.decline(reference)
    notify(desk, desk.notification(reference))
    assert ("PENDING", "UNPAID", 0, 0) == money_of(client, order)

    if desk.declined is PaymentState.FAILED:
        _, reference = start(client, order)
    desk.pay(reference)
    notify(desk, desk.notification(reference))

    assert ("PAID", "PAID", 3000, 0) == money_of(client, order)


def test_without_notifications_the_reconciliation_job_settles(
    desk: Desk, order: Order, client: Actor, sql: Sql
) -> None:
    _, reference = start(client, order)
    desk.pay(reference)
    sql("UPDATE payment SET next_check_at = now()")

    reconciliation.reconcile_payments(actor=SYSTEM)

    assert ("PAID", "PAID", 3000, 0) == money_of(client, order)


def test_a_canceled_payment_is_canceled_at_the_provider(
    desk: Desk, order: Order, client: Actor
) -> None:
    payment, reference = start(client, order)

    canceled = payments.cancel_payment(actor=client, payment_id=payment.id)

    assert PaymentState.CANCELED is canceled.status
    assert PaymentState.CANCELED is desk.provider.fetch(reference).state
    assert reference != start(client, order)[1]


def test_a_payment_that_has_succeeded_meanwhile_is_not_canceled(
    desk: Desk, order: Order, client: Actor
) -> None:
    payment, reference = start(client, order)
    desk.pay(reference)

    with pytest.raises(PaymentNotCancelable):
        payments.cancel_payment(actor=client, payment_id=payment.id)

    assert ("PAID", "PAID", 3000, 0) == money_of(client, order)


def test_money_that_arrives_after_the_cancellation_is_refunded_once(
    desk: Desk, order: Order, client: Actor, admin: Actor, sql: Sql
) -> None:
    _, reference = start(client, order)
    desk.process(reference)
    notify(desk, desk.notification(reference))
    orders.cancel_order(actor=admin, order_id=order.id, reason=None, expected_versions=None)

    desk.pay(reference)
    for _ in range(2):
        notify(desk, desk.notification(reference))
    for _ in range(2):
        sql("UPDATE refund SET next_check_at = now() WHERE next_check_at IS NOT NULL")
        reconciliation.reconcile_refunds(actor=SYSTEM)

    assert ("CANCELLED", "REFUNDED", 3000, 3000) == money_of(client, order)
    types = event_types(client, order)
    assert (1, 1) == (types.count("PAYMENT_SUCCEEDED"), types.count("REFUND_SUCCEEDED"))
