"""kill -9 in the middle of a use case of payments: jobs finish it, and nothing happens twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg2
import pytest

from domain.actor import ADMIN, CLIENT, Actor
from services import (
    orders,
    payment_notifications,
    payments,
    process,
    products,
    reconciliation,
    refunds,
    users,
)
from services.audit import audit
from services.orders import Order
from services.payments import Payment
from services.process import configuration
from tests.support.payment_process import shared_provider
from tests.support.payment_provider import MemoryProvider
from tests.support.processes import orderly_environment
from tests.support.services import PASSWORD, make_actor

SYSTEM = Actor(None, None, None, "request-system", "", "")
PRICE = 3000
PAID = ("PAID", "PAID", PRICE, 0)


class Shop:
    """A shop with one order, and a provider that other processes can call."""

    def __init__(self, url: str, provider: MemoryProvider, address: str) -> None:
        self.url, self.provider, self.address = url, provider, address
        process.bind(configuration(), {provider.name: provider})
        boss = users.create_admin(email="boss@example.com", name="Boss", password=PASSWORD)
        self.admin = make_actor(boss.id, ADMIN)
        user = users.register(actor=SYSTEM, email="ada@example.com", name="Ada", password=PASSWORD)
        self.client = make_actor(user.id, CLIENT)
        self.product = products.create_product(
            actor=self.admin, sku="MUG", name="Mug", description="", stock=5, price=PRICE
        ).product
        self.order: Order = orders.create_order(
            actor=self.client, items=[(self.product.id, 1)], idempotency_key=None
        ).order

    def pay(self) -> Payment:
        return payments.create_payment(
            actor=self.client, order_id=self.order.id, provider=None, idempotency_key="key"
        ).payment

    def killed(self, moment: str, use_case: str, *arguments: object, admin: bool = False) -> None:
        """Run a use case in a process that is killed at this moment."""
        user = self.admin if admin else self.client
        command = [
            *(sys.executable, "-m", "tests.support.payment_process", self.url, self.address),
            *(moment, use_case, str(user.user_id), *map(str, arguments)),
        ]
        finished = subprocess.run(
            command, env=orderly_environment(), capture_output=True, text=True, check=False
        )
        assert -signal.SIGKILL == finished.returncode, finished.stderr

    def run_jobs(self) -> None:
        """Run all jobs twice, as if every check were due: the first may make more due."""
        for _ in range(2):
            for table in ("payment", "refund", "payment_notification"):
                self.sql(
                    f"UPDATE {table} SET next_check_at = now() WHERE next_check_at IS NOT NULL"
                )
            reconciliation.reconcile_payments(actor=SYSTEM)
            reconciliation.reconcile_refunds(actor=SYSTEM)
            payment_notifications.process_due(actor=SYSTEM)

    def sql(self, statement: str) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    @property
    def money(self) -> tuple[str, str, int, int]:
        now = orders.get_order(actor=self.client, order_id=self.order.id)
        return now.status, now.balance.payment_status, now.amount_paid, now.amount_refunded

    @property
    def only_payment(self) -> UUID:
        (payment,) = payments.list_payments(
            actor=self.client, order_id=self.order.id, limit=9
        ).items
        return payment.id


@pytest.fixture
def one_order(shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    provider = MemoryProvider()
    # The path of a socket may have at most 107 bytes.
    with shared_provider(provider, tmp_path_factory.mktemp("p")) as address:
        yield Shop(shop, provider, address)
        assert [] == audit()


@pytest.mark.parametrize("moment", ["before create", "after create"])
def test_a_payment_whose_process_was_killed_is_paid_all_the_same(
    one_order: Shop, moment: str
) -> None:
    one_order.killed(moment, "create_payment", one_order.order.id)
    assert ("PENDING", "UNPAID", 0, 0) == one_order.money
    one_order.run_jobs()
    one_order.provider.pay(one_order.only_payment)

    one_order.run_jobs()

    assert PAID == one_order.money
    assert 1 == len(one_order.provider.payments)


def test_a_payment_that_succeeded_before_the_commit_makes_the_order_paid(one_order: Shop) -> None:
    one_order.killed("after create", "create_payment", one_order.order.id)
    one_order.provider.pay(one_order.only_payment)

    one_order.run_jobs()

    assert PAID == one_order.money


def test_the_customer_can_repeat_a_request_whose_process_was_killed(one_order: Shop) -> None:
    one_order.killed("after create", "create_payment", one_order.order.id)

    assert one_order.pay().reference in one_order.provider.payments
    assert 1 == len(one_order.provider.payments)


def test_a_cancellation_that_was_killed_is_found_out(one_order: Shop) -> None:
    payment = one_order.pay()
    one_order.killed("after cancel", "cancel_payment", payment.id)

    one_order.run_jobs()

    found = payments.get_payment(actor=one_order.client, payment_id=payment.id)
    assert "CANCELED" == found.status


@pytest.mark.parametrize("moment", ["before refund", "after refund"])
def test_a_refund_whose_process_was_killed_is_made_once(one_order: Shop, moment: str) -> None:
    payment = one_order.pay()
    one_order.provider.pay(payment.id)
    one_order.run_jobs()
    one_order.killed(moment, "create_refund", payment.id, admin=True)

    one_order.run_jobs()

    assert ("PAID", "REFUNDED", PRICE, PRICE) == one_order.money
    assert [PRICE] == [one.amount.amount for one in one_order.provider.refunds.values()]
    (refund,) = refunds.list_refunds(actor=one_order.admin, payment_id=payment.id, limit=9).items
    assert "SUCCEEDED" == refund.status


def test_a_notification_that_was_stored_is_applied_later(one_order: Shop) -> None:
    payment = one_order.pay()
    body, _ = one_order.provider.event("evt", one_order.provider.pay(payment.id), "SUCCEEDED")
    one_order.killed("after storing", "receive_payment_notification", body.decode())
    assert ("PENDING", "UNPAID", 0, 0) == one_order.money

    one_order.run_jobs()

    assert PAID == one_order.money


@pytest.mark.parametrize(
    ("moment", "job"), [("after cancel", "expire_orders"), ("after fetch", "reconcile_payments")]
)
def test_a_job_that_was_killed_is_repeated(one_order: Shop, moment: str, job: str) -> None:
    payment = one_order.pay()
    one_order.sql("UPDATE orders SET created_at = created_at - interval '61 minutes'")
    one_order.sql("UPDATE payment SET next_check_at = now()")
    if job == "reconcile_payments":
        one_order.provider.pay(payment.id)

    one_order.killed(moment, job)
    one_order.run_jobs()
    orders.expire_orders(actor=SYSTEM)

    expected = PAID if job == "reconcile_payments" else ("CANCELLED", "UNPAID", 0, 0)
    assert expected == one_order.money


def test_an_automatic_refund_whose_process_was_killed_is_made_once(one_order: Shop) -> None:
    payment = one_order.pay()
    orders.cancel_order(
        actor=one_order.client,
        order_id=one_order.order.id,
        reason=None,
        expected_versions=None,
    )
    reference = one_order.provider.pay_late(payment.id)
    body, headers = one_order.provider.event("evt", reference, "SUCCEEDED")
    receive: Callable[..., None] = payment_notifications.receive_payment_notification
    receive(actor=SYSTEM, provider="memory", body=body, headers=headers)

    one_order.killed("after refund", "reconcile_refunds")
    one_order.run_jobs()

    assert ("CANCELLED", "REFUNDED", PRICE, PRICE) == one_order.money
    assert 1 == len(one_order.provider.refunds)
