"""Many sequences and races of payments; PYTEST_PAYMENT_RUNS sets how many (`tox -e payments`)."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from domain.actor import Actor
from domain.errors import PaymentProviderUnavailable, RefundExceedsCaptured
from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import ProviderPayment, ProviderRefund, ProviderUnavailable
from services import orders, payment_notifications, payments, process, reconciliation, refunds
from services.orders import Order
from services.payment_settling import payment_report, settle
from services.payments import Payment
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.payment_provider import MemoryProvider, answer_normally
from tests.support.services import AddProduct

RUNS = int(os.environ.get("PYTEST_PAYMENT_RUNS", "8"))
PRICE = 3000
NEWS = ("answer", "success", "failure", "cancel", "refund")
SEQUENCES = list(itertools.permutations(NEWS))
SYSTEM = Actor(None, None, None, "request-system", "", "")

pytestmark = pytest.mark.usefixtures("audit_after_test")


@pytest.fixture
def provider() -> MemoryProvider:
    """Enable a provider in memory, for any number of concurrent calls."""
    provider = MemoryProvider()
    process.bind(replace(configuration(), payment_calls_at_once=100), {provider.name: provider})
    return provider


@pytest.fixture
def new_order(client: Actor, add_product: AddProduct) -> Callable[..., Order]:
    """Return a function that places an order, of the same customer if it is called without one."""
    product_id = add_product(100_000, price=PRICE).id

    def place(actor: Actor = client) -> Order:
        return orders.create_order(actor=actor, items=[(product_id, 1)], idempotency_key=None).order

    return place


def pay(client: Actor, order: Order) -> Payment:
    return payments.create_payment(
        actor=client, order_id=order.id, provider=None, idempotency_key=None
    ).payment


def notify(provider: MemoryProvider, event_id: str, reference: str, state: str) -> None:
    body, headers = provider.event(event_id, reference, state)
    payment_notifications.receive_payment_notification(
        actor=SYSTEM, provider=provider.name, body=body, headers=headers
    )


def run_jobs(sql: Sql) -> None:
    """Run all jobs twice, as if every check were due: the first may make more due."""
    for _ in range(2):
        for table in ("payment", "refund", "payment_notification"):
            sql(f"UPDATE {table} SET next_check_at = now() WHERE next_check_at IS NOT NULL")
        reconciliation.reconcile_payments(actor=SYSTEM)
        reconciliation.reconcile_refunds(actor=SYSTEM)
        payment_notifications.process_due(actor=SYSTEM)


def money_of(client: Actor, order: Order) -> tuple[str, str, int, int]:
    now = orders.get_order(actor=client, order_id=order.id)
    return now.status, now.balance.payment_status, now.amount_paid, now.amount_refunded


def status_changes(client: Actor, order: Order) -> int:
    events = orders.list_order_events(actor=client, order_id=order.id, limit=100).items
    return sum(event.type == "STATUS_CHANGED" for event in events)


def cut_connections(sql: Sql) -> None:
    sql(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("run", range(min(RUNS, len(SEQUENCES))))
def test_every_sequence_of_reports_has_one_outcome_though_connections_are_cut(
    client: Actor, new_order: Callable[[], Order], provider: MemoryProvider, sql: Sql, run: int
):
    """All 120 sequences with PYTEST_PAYMENT_RUNS=120; a spread selection with fewer runs."""
    sequence = SEQUENCES[run * len(SEQUENCES) // min(RUNS, len(SEQUENCES))]
    order = new_order()

    def lose_answer(call: str) -> None:
        raise ProviderUnavailable

    provider.after = lose_answer
    with pytest.raises(PaymentProviderUnavailable):
        pay(client, order)
    provider.after = answer_normally
    ((reference, answer),) = provider.payments.items()

    for step in sequence:
        _bring(step, provider, answer)
        cut_connections(sql)
    run_jobs(sql)

    assert ("PAID", "REFUNDED", PRICE, PRICE) == money_of(client, order)
    assert 1 == status_changes(client, order)
    payment = payments.get_payment(actor=client, payment_id=provider.our_ids[reference])
    assert ("SUCCEEDED", reference) == (payment.status, payment.reference)


def _bring(step: str, provider: MemoryProvider, answer: ProviderPayment) -> None:
    reference = answer.reference
    if step == "answer":
        payment_id = provider.our_ids[reference]
        settle(actor=SYSTEM, payment_id=payment_id, report=payment_report(answer))
    elif step == "refund":
        provider.refunds["re_dashboard"] = ProviderRefund(
            "re_dashboard", reference, RefundState.SUCCEEDED, answer.amount
        )
        notify(provider, "evt_refund", "re_dashboard", "SUCCEEDED")
    else:
        states = {"success": "SUCCEEDED", "failure": "FAILED", "cancel": "CANCELED"}
        if step == "success":
            provider.pay_late(provider.our_ids[reference])
        notify(provider, f"evt_{step}", reference, states[step])


def test_notifications_that_arrive_in_any_way_have_one_outcome(
    client: Actor, new_order: Callable[[], Order], provider: MemoryProvider, sql: Sql
):
    """Each notification arrives twice: late, reversed and concurrently."""
    for run in range(RUNS):
        chance = random.Random(run)
        order = new_order()
        reference = provider.pay(pay(client, order).id)
        provider.add_refund(f"re_{run}", reference, Money(1000, "EUR"))
        events = [
            (f"processing_{run}", reference, "PROCESSING"),
            (f"failed_{run}", reference, "FAILED"),
            (f"succeeded_{run}", reference, "SUCCEEDED"),
            (f"refunded_{run}", f"re_{run}", "SUCCEEDED"),
        ] * 2
        chance.shuffle(events)
        while events:
            size = chance.randint(1, 4)
            calls = [lambda event=event: notify(provider, *event) for event in events[:size]]
            assert {None} == set(run_concurrently(*calls))
            del events[:size]

        run_jobs(sql)
        assert ("PAID", "PARTIALLY_REFUNDED", PRICE, 1000) == money_of(client, order)
        assert 1 == status_changes(client, order)


def test_an_expiry_that_races_a_success_leaves_the_order_paid_or_refunded(
    client: Actor, new_order: Callable[[], Order], provider: MemoryProvider, sql: Sql
):
    found = set()
    for run in range(RUNS):
        order = new_order()
        payment = pay(client, order)
        sql("UPDATE orders SET created_at = created_at - interval '61 minutes'")

        def succeed(payment_id: UUID = payment.id, run: int = run) -> None:
            time.sleep(random.Random(run).uniform(0, 0.02))
            notify(provider, f"evt_{run}", provider.pay_late(payment_id), "SUCCEEDED")

        results = run_concurrently(succeed, lambda: orders.expire_orders(actor=SYSTEM))
        assert not [one for one in results if isinstance(one, Exception)]
        run_jobs(sql)
        money = money_of(client, order)
        found.add(money)
        assert 1 == status_changes(client, order)

    assert found <= {("PAID", "PAID", PRICE, 0), ("CANCELLED", "REFUNDED", PRICE, PRICE)}


def test_concurrent_refunds_of_a_third_return_at_most_the_whole(
    admin: Actor, client: Actor, new_order: Callable[[], Order], provider: MemoryProvider
):
    order = new_order()
    payment = pay(client, order)
    notify(provider, "evt", provider.pay(payment.id), "SUCCEEDED")

    def refund() -> refunds.CreatedRefund:
        return refunds.create_refund(
            actor=admin,
            payment_id=payment.id,
            amount=Money(PRICE // 3, "EUR"),
            reason=None,
            idempotency_key=None,
        )

    results = run_concurrently(*[refund] * 50)

    refused = [one for one in results if isinstance(one, RefundExceedsCaptured)]
    assert (47, 3) == (len(refused), len(provider.refunds))
    assert ("PAID", "REFUNDED", PRICE, PRICE) == money_of(client, order)


def test_a_provider_that_hangs_delays_no_orders_and_loses_no_payment(
    new_client: Callable[[], Actor],
    new_order: Callable[..., Order],
    provider: MemoryProvider,
    sql: Sql,
):
    process.bind(replace(configuration(), payment_calls_at_once=2), {provider.name: provider})
    unpaid = [(customer, new_order(customer)) for customer in (new_client() for _ in range(10))]

    def hang(call: str) -> None:
        time.sleep(1)
        raise ProviderUnavailable

    provider.before = hang
    started = time.monotonic()
    results = run_concurrently(
        *[lambda payer=customer, order=order: pay(payer, order) for customer, order in unpaid],
        *[new_order] * 20,
    )
    seconds = time.monotonic() - started

    assert {PaymentProviderUnavailable} == {type(one) for one in results[:10]}
    assert {Order} == {type(one) for one in results[10:]}
    # At most two calls wait for the provider at a time, and the others are refused at once.
    assert 2 >= len(provider.calls) or seconds >= 2
    assert [] == list(provider.payments)
    provider.before = answer_normally
    run_jobs(sql)
    assert 10 == len(provider.payments)
    states = {
        payments.list_payments(actor=customer, order_id=order.id, limit=9).items[0].status
        for customer, order in unpaid
    }
    assert {PaymentState.PENDING} == states
