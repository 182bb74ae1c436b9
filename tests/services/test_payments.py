"""Payments with a provider in memory: lost answers, late money, cancellation and expiry."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from database.binding import database
from domain.actor import Actor
from domain.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidSignature,
    NotFound,
    OrderNotPayable,
    PaymentExceedsBalance,
    PaymentInProgress,
    PaymentNotCancelable,
    PaymentProviderNotEnabled,
    PaymentProviderUnavailable,
    RefundExceedsCaptured,
    TooManyAttempts,
    TransitionNotAllowed,
)
from domain.money import Money
from services import (
    orders,
    payment_notifications,
    payment_providers,
    payments,
    process,
    products,
    reconciliation,
    refunds,
)
from services.orders import Order
from services.payments import Payment
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.payment_provider import MemoryProvider, answer_normally, unavailable
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

PRICE = 3000


def bind(provider: MemoryProvider, **fields: Any) -> None:
    process.bind(replace(configuration(), **fields), {provider.name: provider})


@pytest.fixture
def provider() -> MemoryProvider:
    """Enable a provider in memory."""
    provider = MemoryProvider()
    bind(provider)
    return provider


@pytest.fixture
def order(client: Actor, add_product: AddProduct) -> Order:
    """Place an order of one product."""
    return place(client, add_product(price=PRICE).id)


def place(client: Actor, product_id: UUID) -> Order:
    return orders.create_order(actor=client, items=[(product_id, 1)], idempotency_key=None).order


def pay(
    client: Actor, order: Order, key: str | None = None, provider: str | None = None
) -> Payment:
    return payments.create_payment(
        actor=client, order_id=order.id, provider=provider, idempotency_key=key
    ).payment


def record(admin: Actor, order: Order, amount: int, key: str | None = None) -> Payment:
    return payments.record_manual_payment(
        actor=admin,
        order_id=order.id,
        amount=Money(amount, "EUR"),
        method="CASH",
        reference=None,
        idempotency_key=key,
    ).payment


def give_back(admin: Actor, payment: Payment, amount: int | None = None) -> refunds.Refund:
    return refunds.create_refund(
        actor=admin,
        payment_id=payment.id,
        amount=None if amount is None else Money(amount, "EUR"),
        reason=None,
        idempotency_key=None,
    ).refund


def cancel(actor: Actor, order: Order, **fields: Any) -> Order:
    return orders.cancel_order(
        actor=actor, order_id=order.id, reason=None, expected_versions=None, **fields
    )


def notify(
    provider: MemoryProvider, event_id: str, reference: str, state: str, **fields: Any
) -> None:
    body, headers = provider.event(event_id, reference, state, **fields)
    payment_notifications.receive_payment_notification(
        actor=Actor(None, None, None, "request-n", "", ""),
        provider=provider.name,
        body=body,
        headers=headers,
    )


def money_of(actor: Actor, order: Order) -> tuple[str, str, int, int]:
    now = orders.get_order(actor=actor, order_id=order.id)
    return now.status, now.balance.payment_status, now.amount_paid, now.amount_refunded


def event_types(actor: Actor, order: Order) -> list[str]:
    page = orders.list_order_events(actor=actor, order_id=order.id, limit=100)
    return [event.type for event in page.items]


def outcomes(limit: int = 100) -> list[tuple[str, str | None]]:
    page = payment_notifications.list_payment_notifications(limit=limit)
    return [(one.type, one.outcome) for one in reversed(page.items)]


@pytest.fixture
def make_due(sql: Sql) -> Callable[[], None]:
    """Return a function that makes everything due that is checked later."""

    def make_due() -> None:
        for table in ("payment", "refund", "payment_notification"):
            sql(f"UPDATE {table} SET next_check_at = now() WHERE next_check_at IS NOT NULL")

    return make_due


PAID = ("PAID", "PAID", PRICE, 0)
REFUNDED = ("CANCELLED", "REFUNDED", PRICE, PRICE)


def test_an_order_becomes_paid_by_the_notification_of_its_payment(
    client: Actor, order: Order, provider: MemoryProvider
):
    payment = pay(client, order)
    reference = provider.pay(payment.id)

    assert ("PENDING", "UNPAID", 0, 0) == money_of(client, order)
    notify(provider, "evt_1", reference, "SUCCEEDED")
    notify(provider, "evt_1", reference, "SUCCEEDED")
    notify(provider, "evt_2", reference, "SUCCEEDED")
    notify(provider, "evt_3", reference, "FAILED")

    assert PAID == money_of(client, order)
    assert ["PLACED", "PAYMENT_CREATED", "STATUS_CHANGED"] == event_types(client, order)
    last = orders.list_order_events(actor=client, order_id=order.id, limit=9).items[-1]
    assert ("PROVIDER", None, payment.id, PRICE) == (
        last.actor_kind,
        last.actor_user_id,
        last.payment_id,
        last.amount,
    )
    assert [
        ("payment.succeeded", "APPLIED"),
        ("payment.succeeded", "DUPLICATE"),
        ("payment.failed", "DUPLICATE"),
    ] == outcomes()
    newest_last = payment_notifications.list_payment_notifications(limit=9).items[-1]
    assert (2, payment.id) == (newest_last.deliveries, newest_last.payment_id)


def test_a_payment_is_found_by_the_reference_of_the_provider_too(
    client: Actor, order: Order, provider: MemoryProvider
):
    reference = provider.pay(pay(client, order).id)

    notify(provider, "evt_1", reference, "SUCCEEDED", names_our_id=False)

    assert PAID == money_of(client, order)


def test_a_notification_that_comes_before_the_answer_is_applied_with_it(
    client: Actor, order: Order, provider: MemoryProvider
):
    """It names only the provider's reference, which is not known before the answer."""

    def pay_and_notify(call: str) -> None:
        if call == "create":
            (reference,) = provider.payments
            provider.pay(provider.our_ids[reference])
            notify(provider, "evt_1", reference, "SUCCEEDED", names_our_id=False)
            assert [("payment.succeeded", "UNMATCHED")] == outcomes()

    provider.after = pay_and_notify
    payment = pay(client, order)

    assert "SUCCEEDED" == payment.status
    assert PAID == money_of(client, order)


def test_a_notification_with_an_invalid_signature_is_refused(provider: MemoryProvider):
    actor = Actor(None, None, None, "request-n", "", "")
    receive = payment_notifications.receive_payment_notification
    with pytest.raises(InvalidSignature):
        receive(actor=actor, provider="memory", body=b"{}", headers={})
    with pytest.raises(NotFound):
        receive(actor=actor, provider="unknown", body=b"{}", headers={})

    assert [] == outcomes()


def test_a_notification_of_an_unused_kind_is_ignored(provider: MemoryProvider):
    for _ in range(2):
        payment_notifications.receive_payment_notification(
            actor=Actor(None, None, None, "request-n", "", ""),
            provider="memory",
            body=b'{"type": "unused"}',
            headers={"signature": "valid"},
        )

    assert [("unused", "IGNORED")] == outcomes()


def test_another_amount_is_recorded_and_not_applied(
    client: Actor, order: Order, provider: MemoryProvider
):
    payment = pay(client, order)
    reference = provider.pay(payment.id)
    provider.payments[reference] = replace(
        provider.payments[reference], amount=Money(PRICE - 1, "EUR")
    )

    notify(provider, "evt_1", reference, "SUCCEEDED")
    notify(provider, "evt_2", reference, "SUCCEEDED")

    assert ("PENDING", "UNPAID", 0, 0) == money_of(client, order)
    assert ["PLACED", "PAYMENT_CREATED", "PAYMENT_MISMATCHED"] == event_types(client, order)
    assert [("payment.succeeded", "FAILED")] * 2 == outcomes()
    assert "mismatch" == payments.get_payment(actor=client, payment_id=payment.id).failure_code


def test_a_lost_answer_is_recovered_by_the_same_request(
    client: Actor, order: Order, provider: MemoryProvider
):
    provider.after = unavailable("create")
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, order, key="k")
    provider.after = answer_normally

    payment = pay(client, order, key="k")

    assert (1, payment.reference) == (len(provider.payments), next(iter(provider.payments)))
    assert payment == pay(client, order, key="k")
    with pytest.raises(IdempotencyKeyReused):
        pay(client, order, key="k", provider="memory")


def test_another_request_continues_a_payment_without_an_answer(
    client: Actor, order: Order, provider: MemoryProvider
):
    provider.before = unavailable("create")
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, order)
    provider.before = answer_normally

    first = pay(client, order)

    assert first.reference
    with pytest.raises(PaymentInProgress) as caught:
        pay(client, order)
    assert first.id == caught.value.payment_id


def test_the_reconciliation_job_finds_what_no_notification_has_reported(
    client: Actor,
    order: Order,
    anonymous: Actor,
    provider: MemoryProvider,
    make_due: Callable[[], None],
):
    provider.after = unavailable("create")
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, order)
    (payment,) = payments.list_payments(actor=client, order_id=order.id, limit=9).items
    provider.pay(payment.id)
    assert 0 == reconciliation.reconcile_payments(actor=anonymous)

    make_due()
    assert 0 == reconciliation.reconcile_payments(actor=anonymous)
    provider.after = answer_normally
    make_due()
    assert 1 == reconciliation.reconcile_payments(actor=anonymous)

    assert PAID == money_of(client, order)
    make_due()
    assert 0 == reconciliation.reconcile_payments(actor=anonymous)


def test_the_reconciliation_job_gives_up_after_a_day_and_reports_it(
    client: Actor,
    order: Order,
    anonymous: Actor,
    provider: MemoryProvider,
    make_due: Callable[[], None],
    sql: Sql,
):
    provider.before = unavailable()
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, order)
    sql("UPDATE payment SET created_at = created_at - interval '25 hours'")
    make_due()

    assert 0 == reconciliation.reconcile_payments(actor=anonymous)
    assert [("reconciliation.given_up", "FAILED")] == outcomes()
    assert 1 == process.state().payment_checks_given_up
    make_due()
    assert 0 == reconciliation.reconcile_payments(actor=anonymous)
    assert [(None,)] == sql("SELECT next_check_at FROM payment")


def test_an_abandoned_payment_is_canceled_after_a_day(
    client: Actor,
    order: Order,
    anonymous: Actor,
    provider: MemoryProvider,
    make_due: Callable[[], None],
    sql: Sql,
):
    payment = pay(client, order)
    sql("UPDATE payment SET created_at = created_at - interval '25 hours'")
    make_due()

    assert 1 == reconciliation.reconcile_payments(actor=anonymous)

    assert "CANCELED" == payments.get_payment(actor=client, payment_id=payment.id).status
    assert [] == outcomes()
    assert pay(client, order).id != payment.id


def test_money_that_arrives_after_the_cancellation_is_returned_once(
    client: Actor,
    order: Order,
    anonymous: Actor,
    provider: MemoryProvider,
    make_due: Callable[[], None],
):
    payment = pay(client, order)
    reference = provider.pay(payment.id)
    cancel(client, order)

    for number in range(3):
        notify(provider, f"evt_{number}", reference, "SUCCEEDED")
    make_due()
    reconciliation.reconcile_payments(actor=anonymous)
    assert 1 == reconciliation.reconcile_refunds(actor=anonymous)

    assert REFUNDED == money_of(client, order)
    (refund,) = refunds.list_refunds(actor=client, payment_id=payment.id, limit=9).items
    assert ("LATE_PAYMENT", "SUCCEEDED") == (refund.cause, refund.status)
    assert [PRICE] == [one.amount.amount for one in provider.refunds.values()]
    assert [
        *("PLACED", "PAYMENT_CREATED", "STATUS_CHANGED"),
        *("PAYMENT_SUCCEEDED", "REFUND_CREATED", "REFUND_SUCCEEDED"),
    ] == event_types(client, order)


def test_a_second_payment_that_succeeds_is_returned(
    client: Actor, order: Order, anonymous: Actor, provider: MemoryProvider
):
    first = pay(client, order)
    reference = f"pay_{first.id.hex}"
    notify(provider, "evt_1", reference, "FAILED")
    second = pay(client, order)
    notify(provider, "evt_2", provider.pay(second.id), "SUCCEEDED")

    notify(provider, "evt_3", provider.pay(first.id), "SUCCEEDED")
    reconciliation.reconcile_refunds(actor=anonymous)

    assert ("PAID", "PAID", 2 * PRICE, PRICE) == money_of(client, order)
    (refund,) = refunds.list_refunds(actor=client, payment_id=first.id, limit=9).items
    assert ("EXCESS_PAYMENT", PRICE) == (refund.cause, refund.amount)


def test_an_administrator_who_marks_an_order_as_paid_cancels_its_open_payment(
    admin: Actor, client: Actor, order: Order, anonymous: Actor, provider: MemoryProvider
):
    payment = pay(client, order)

    orders.update_order_status(
        actor=admin, order_id=order.id, status="PAID", tracking_number=None, expected_versions=None
    )
    reconciliation.reconcile_payments(actor=anonymous)

    assert "CANCELED" == payments.get_payment(actor=client, payment_id=payment.id).status
    assert PAID == money_of(client, order)


def test_cancelling_an_order_cancels_its_open_payment_at_the_provider(
    client: Actor, order: Order, anonymous: Actor, provider: MemoryProvider
):
    payment = pay(client, order)
    cancel(client, order)

    assert 1 == reconciliation.reconcile_payments(actor=anonymous)

    assert "CANCELED" == provider.payments[f"pay_{payment.id.hex}"].state
    assert ("CANCELLED", "UNPAID", 0, 0) == money_of(client, order)


def test_a_canceled_payment_makes_room_for_another_one(
    client: Actor, order: Order, provider: MemoryProvider
):
    payment = pay(client, order)

    for _ in range(2):
        assert "CANCELED" == payments.cancel_payment(actor=client, payment_id=payment.id).status
    other = pay(client, order)
    provider.pay(other.id)
    with pytest.raises(PaymentNotCancelable):
        payments.cancel_payment(actor=client, payment_id=other.id)

    assert PAID == money_of(client, order)


def test_a_provider_that_refuses_fails_the_payment(
    client: Actor, order: Order, provider: MemoryProvider
):
    from integrations.payments.provider import ProviderRefused  # noqa: PLC0415

    def refuse(call: str) -> None:
        raise ProviderRefused("amount_too_small")

    provider.before = refuse
    payment = pay(client, order)

    assert ("FAILED", "amount_too_small") == (payment.status, payment.failure_code)
    provider.before = answer_normally
    assert "PENDING" == pay(client, order).status


def test_only_pending_orders_with_a_balance_can_be_paid_and_only_by_their_owner(
    admin: Actor,
    new_client: Callable[[], Actor],
    client: Actor,
    order: Order,
    provider: MemoryProvider,
):
    for other in (admin, new_client()):
        with pytest.raises(NotFound):
            pay(other, order)
    with pytest.raises(PaymentProviderNotEnabled):
        pay(client, order, provider="stripe")
    with pytest.raises(PaymentProviderNotEnabled):
        pay(client, order, provider="manual")
    cancel(client, order)
    with pytest.raises(OrderNotPayable):
        pay(client, order)
    with pytest.raises(OrderNotPayable):
        record(admin, order, 1)


def test_manual_payments_add_up(admin: Actor, client: Actor, order: Order):
    with pytest.raises(PaymentExceedsBalance):
        record(admin, order, PRICE + 1)
    first = record(admin, order, 1000, key="k")
    assert first == record(admin, order, 1000, key="k")
    assert ("PENDING", "PARTIALLY_PAID", 1000, 0) == money_of(client, order)
    with pytest.raises(TransitionNotAllowed):
        cancel(client, order)

    record(admin, order, 2000)

    assert PAID == money_of(client, order)
    give_back(admin, first, 400)
    with pytest.raises(RefundExceedsCaptured) as caught:
        give_back(admin, first, 601)
    assert 600 == caught.value.refundable
    assert ("PAID", "PARTIALLY_REFUNDED", PRICE, 400) == money_of(client, order)
    cancel(admin, order)
    assert REFUNDED == money_of(client, order)


def test_a_customer_who_pays_by_hand_has_more_time(
    admin: Actor, client: Actor, anonymous: Actor, order: Order, sql: Sql
):
    process.bind(replace(configuration(), manual_payment_expiry_minutes=600))
    payment = pay(client, order)
    assert ("manual", "PENDING") == (payment.provider, payment.status)
    visible = orders.get_order(actor=client, order_id=order.id)
    assert 36000 == (orders.expires_at(visible) - visible.created_at).total_seconds()
    sql("UPDATE orders SET created_at = created_at - interval '70 minutes'")
    sql("UPDATE order_event SET created_at = created_at - interval '70 minutes'")

    assert 0 == orders.expire_orders(actor=anonymous)
    record(admin, order, PRICE)

    assert PAID == money_of(client, order)
    assert "SUCCEEDED" == payments.get_payment(actor=client, payment_id=payment.id).status


def test_a_payment_by_hand_that_does_not_arrive_expires_with_its_order(
    client: Actor, anonymous: Actor, order: Order, sql: Sql
):
    process.bind(replace(configuration(), manual_payment_expiry_minutes=600))
    payment = pay(client, order)
    for column in ("created_at", "expires_at"):
        sql(f"UPDATE orders SET {column} = {column} - interval '601 minutes'")

    assert 1 == orders.expire_orders(actor=anonymous)

    assert ("CANCELLED", "UNPAID", 0, 0) == money_of(client, order)
    assert "CANCELED" == payments.get_payment(actor=client, payment_id=payment.id).status


def test_the_money_of_a_cancelled_order_is_returned_or_kept(
    admin: Actor,
    client: Actor,
    anonymous: Actor,
    add_product: AddProduct,
    provider: MemoryProvider,
):
    mug = add_product(price=PRICE)
    kept, returned = place(client, mug.id), place(client, mug.id)
    for number, one in enumerate((kept, returned)):
        notify(provider, f"evt_{number}", provider.pay(pay(client, one).id), "SUCCEEDED")

    with pytest.raises(Forbidden):
        cancel(client, kept, keep_payment=True)
    cancel(admin, kept, keep_payment=True)
    cancel(admin, returned)
    reconciliation.reconcile_refunds(actor=anonymous)

    assert ("CANCELLED", "PAID", PRICE, 0) == money_of(client, kept)
    assert "PAYMENT_KEPT" == event_types(client, kept)[-1]
    assert REFUNDED == money_of(client, returned)
    assert 1 == len(provider.refunds)


def test_a_refund_without_an_answer_is_repeated_with_the_same_key(
    admin: Actor,
    client: Actor,
    order: Order,
    anonymous: Actor,
    provider: MemoryProvider,
    make_due: Callable[[], None],
):
    payment = pay(client, order)
    notify(provider, "evt_1", provider.pay(payment.id), "SUCCEEDED")
    provider.after = unavailable("refund")

    refund = give_back(admin, payment, 1000)
    assert "PENDING" == refund.status
    provider.after = answer_normally
    make_due()
    assert 1 == reconciliation.reconcile_refunds(actor=anonymous)

    assert [1000] == [one.amount.amount for one in provider.refunds.values()]
    assert ("PAID", "PARTIALLY_REFUNDED", PRICE, 1000) == money_of(client, order)


def test_a_refund_made_at_the_provider_is_recorded(
    client: Actor, order: Order, provider: MemoryProvider
):
    payment = pay(client, order)
    reference = provider.pay(payment.id)
    provider.add_refund("re_dashboard", reference, Money(1000, "EUR"))

    notify(provider, "evt_1", "re_dashboard", "SUCCEEDED")
    assert [("payment.succeeded", "UNMATCHED")] == outcomes()
    notify(provider, "evt_2", reference, "SUCCEEDED")
    notify(provider, "evt_3", "re_dashboard", "SUCCEEDED")

    assert ("PAID", "PARTIALLY_REFUNDED", PRICE, 1000) == money_of(client, order)
    (refund,) = refunds.list_refunds(actor=client, payment_id=payment.id, limit=9).items
    assert ("PROVIDER", "SUCCEEDED") == (refund.cause, refund.status)


def test_a_refund_that_fails_makes_its_money_available_again(
    admin: Actor, client: Actor, order: Order, provider: MemoryProvider
):
    payment = pay(client, order)
    notify(provider, "evt_1", provider.pay(payment.id), "SUCCEEDED")
    refund = give_back(admin, payment)

    notify(provider, "evt_2", f"re_{refund.id.hex}", "FAILED")

    assert PAID == money_of(client, order)
    assert "REFUND_FAILED" == event_types(client, order)[-1]


def test_concurrent_requests_start_one_payment(
    client: Actor, order: Order, provider: MemoryProvider
):
    bind(provider, payment_calls_at_once=20)

    results = run_concurrently(*[lambda: pay(client, order)] * 20)

    assert 1 == len({one.id for one in results if isinstance(one, Payment)})
    errors = {type(one) for one in results if not isinstance(one, Payment)}
    assert {PaymentInProgress, TooManyAttempts} >= errors
    assert 1 == len(provider.payments)


def test_one_user_cannot_take_up_all_calls_to_the_provider(
    new_client: Callable[[], Actor], add_product: AddProduct, provider: MemoryProvider
):
    mug, client, other = add_product(4), new_client(), new_client()
    slow_calls = iter(range(2))
    started, answer = threading.Semaphore(0), threading.Event()

    def wait(_call: str) -> None:
        if next(slow_calls, None) is not None:
            started.release()
            assert answer.wait(60)

    provider.before = wait
    with ThreadPoolExecutor(2) as executor:
        slow = [executor.submit(pay, client, place(client, mug.id)) for _ in range(2)]
        assert all(started.acquire(timeout=60) for _ in slow)

        with pytest.raises(TooManyAttempts):
            pay(client, place(client, mug.id))
        assert pay(other, place(other, mug.id)).reference
        answer.set()

    assert all(one.result().reference for one in slow)


def test_a_user_can_create_and_cancel_a_limited_number_of_payments(
    client: Actor, order: Order, provider: MemoryProvider
):
    bind(provider, payment_limit=3)
    payments.cancel_payment(actor=client, payment_id=pay(client, order).id)
    second = pay(client, order)

    with pytest.raises(TooManyAttempts):
        payments.cancel_payment(actor=client, payment_id=second.id)


def test_an_open_payment_is_canceled_before_its_order_expires(
    client: Actor, anonymous: Actor, add_product: AddProduct, provider: MemoryProvider, sql: Sql
):
    mug = add_product(5, price=PRICE)
    unpaid, paid, unknown = (place(client, mug.id) for _ in range(3))
    pay(client, unpaid)
    provider.pay(pay(client, paid).id)
    provider.after = unavailable("create")
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, unknown)
    sql("UPDATE orders SET created_at = created_at - interval '61 minutes'")

    assert 1 == orders.expire_orders(actor=anonymous)

    assert ("CANCELLED", "UNPAID", 0, 0) == money_of(client, unpaid)
    assert PAID == money_of(client, paid)
    assert ("PENDING", "UNPAID", 0, 0) == money_of(client, unknown)
    provider.after = answer_normally
    assert 1 == orders.expire_orders(actor=anonymous)
    assert 3 + 1 == products.get_product(product_id=mug.id).stock


def test_a_provider_is_never_called_in_a_transaction(provider: MemoryProvider):
    with database.connection_context(), database.atomic(), pytest.raises(RuntimeError):
        payment_providers.call(provider, provider.fetch, "reference")


def test_a_limited_number_of_calls_waits_for_a_provider(
    client: Actor, add_product: AddProduct, provider: MemoryProvider
):
    bind(provider, payment_calls_at_once=0)

    with pytest.raises(PaymentProviderUnavailable):
        pay(client, place(client, add_product().id))

    assert [] == provider.calls


def test_an_unknown_payment_is_not_found(client: Actor, admin: Actor):
    for call in (
        lambda: payments.get_payment(actor=client, payment_id=uuid4()),
        lambda: payments.cancel_payment(actor=client, payment_id=uuid4()),
        lambda: refunds.list_refunds(actor=client, payment_id=uuid4(), limit=1),
        lambda: payments.list_payments(actor=client, order_id=uuid4(), limit=1),
        lambda: refunds.create_refund(
            actor=admin, payment_id=uuid4(), amount=None, reason=None, idempotency_key=None
        ),
    ):
        with pytest.raises(NotFound):
            call()
