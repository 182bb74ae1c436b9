"""POST /sandbox/payments/{payment_id}/settle, at a demo, whose sandbox sends its notifications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from httpx2 import Client

from tests.support.accounts import DEMO_ADMIN, DEMO_CLIENT, PASSWORD
from tests.support.problems import assert_problem
from tests.support.processes import Server, run_server, wait_until
from tests.support.settings import NO_RATE_LIMIT_VARIABLES
from tests.support.shop import ORDERS, cancel_order

PAYMENTS = "/api/v1/payments"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(
        tmp_path_factory.mktemp("sandbox") / "data",
        "--demo",
        ORDERLY_VALIDATE_RESPONSES="true",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server
        assert not [line for line in server.log if line["level"] in {"warning", "error"}]


@pytest.fixture
def customer(demo: Server) -> Iterator[Client]:
    with signed_in(demo, DEMO_CLIENT) as client:
        yield client


@pytest.fixture
def boss(demo: Server) -> Iterator[Client]:
    with signed_in(demo, DEMO_ADMIN) as client:
        yield client


@contextmanager
def signed_in(demo: Server, credentials: dict[str, str]) -> Iterator[Client]:
    with Client(base_url=demo.url, timeout=60) as client:
        assert 200 == client.post("/api/v1/auth/login", json=credentials).status_code
        yield client


@pytest.fixture
def order(customer: Client) -> dict[str, Any]:
    products = customer.get("/api/v1/products?in_stock=true&sort=price").json()["items"]
    items = [{"product_id": products[0]["id"], "quantity": 1}]
    placed: dict[str, Any] = customer.post(ORDERS, json={"items": items}).json()
    return placed


def pay(client: Client, order: dict[str, Any], **body: str) -> dict[str, Any]:
    response = client.post(f"{ORDERS}/{order['id']}/payments", json=body)
    assert 201 == response.status_code, response.text
    payment: dict[str, Any] = response.json()
    return payment


def settle(client: Client, payment: dict[str, Any], outcome: str) -> httpx2.Response:
    return client.post(
        f"/api/v1/sandbox/payments/{payment['id']}/settle", json={"outcome": outcome}
    )


def read(client: Client, payment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{PAYMENTS}/{payment['id']}").json()
    return found


def wait_for(client: Client, payment: dict[str, Any], status: str) -> dict[str, Any]:
    wait_until(lambda: read(client, payment)["status"] == status)
    return read(client, payment)


def notifications(boss: Client, payment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the type and the outcome of a payment's notifications, oldest first."""
    items = boss.get("/api/v1/payment-notifications?limit=100").json()["items"]
    mine = [item for item in items if item["payment_id"] == payment["id"]]
    return [(item["type"], item["outcome"]) for item in reversed(mine)]


def test_the_default_provider_of_a_demo_is_the_sandbox(
    customer: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)

    assert ("sandbox", "PENDING", order["total"]) == (
        payment["provider"],
        payment["status"],
        payment["amount"],
    )
    page = customer.get(payment["redirect_url"])
    assert 200 == page.status_code
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text


def test_a_payment_that_succeeds_pays_the_order_and_can_be_refunded(
    customer: Client, boss: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)

    for _ in range(2):
        assert 200 == settle(customer, payment, "SUCCEED").status_code

    assert wait_for(customer, payment, "SUCCEEDED")["redirect_url"] is None
    assert "PAID" == customer.get(f"{ORDERS}/{order['id']}").json()["status"]
    last = customer.get(f"{ORDERS}/{order['id']}/events").json()["items"][-1]
    assert ("PAID", "PROVIDER") == (last["to_status"], last["actor"]["kind"])
    assert [("payment.succeeded", "APPLIED")] == notifications(boss, payment)

    refund = boss.post(f"{PAYMENTS}/{payment['id']}/refunds")
    assert (201, "SUCCEEDED") == (refund.status_code, refund.json()["status"])
    assert "REFUNDED" == customer.get(f"{ORDERS}/{order['id']}").json()["payment_status"]
    wait_until(lambda: len(notifications(boss, payment)) == 2)
    assert ("refund.succeeded", "DUPLICATE") == notifications(boss, payment)[-1]


def test_a_declined_payment_fails_and_another_one_can_succeed(
    customer: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)

    settle(customer, payment, "DECLINE")

    assert "card_declined" == wait_for(customer, payment, "FAILED")["failure_code"]
    assert_problem(settle(customer, payment, "SUCCEED"), 409, "payment_not_open")
    again = pay(customer, order)
    settle(customer, again, "SUCCEED")
    wait_for(customer, again, "SUCCEEDED")
    assert "PAID" == customer.get(f"{ORDERS}/{order['id']}").json()["status"]


def test_a_payment_that_asks_for_confirmation_waits_for_it(
    customer: Client, boss: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)

    assert "PENDING" == settle(customer, payment, "REQUIRE_ACTION").json()["status"]
    wait_until(lambda: notifications(boss, payment))
    settle(customer, payment, "SUCCEED")
    wait_for(customer, payment, "SUCCEEDED")

    assert [("payment.requires_action", "DUPLICATE"), ("payment.succeeded", "APPLIED")] == (
        notifications(boss, payment)
    )


def test_a_payment_that_succeeds_late_is_processing_first(
    customer: Client, boss: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)

    settle(customer, payment, "SUCCEED_LATE")
    wait_for(customer, payment, "PROCESSING")
    refusal = customer.post(f"{PAYMENTS}/{payment['id']}/cancel")
    wait_for(customer, payment, "SUCCEEDED")

    problem = assert_problem(refusal, 409, "payment_not_cancelable")
    assert "PROCESSING" == problem["payment_status"]
    assert [("payment.processing", "APPLIED"), ("payment.succeeded", "APPLIED")] == (
        notifications(boss, payment)
    )


def test_late_money_of_a_cancelled_order_is_refunded(
    customer: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)
    settle(customer, payment, "SUCCEED_LATE")
    wait_for(customer, payment, "PROCESSING")

    assert 200 == cancel_order(customer, order).status_code

    wait_until(
        lambda: (
            customer.get(f"{ORDERS}/{order['id']}").json()["payment_status"] == "REFUNDED"
            and customer.get(f"{PAYMENTS}/{payment['id']}/refunds").json()["items"][0]["status"]
            == "SUCCEEDED"
        )
    )
    assert "CANCELLED" == customer.get(f"{ORDERS}/{order['id']}").json()["status"]


def test_only_the_owner_of_the_order_can_choose(
    demo: Server, customer: Client, boss: Client, order: dict[str, Any]
) -> None:
    payment = pay(customer, order)
    account = {"email": "bob@example.com", "name": "Bob", "password": PASSWORD}
    boss.post("/api/v1/auth/register", json=account)
    with signed_in(demo, {name: account[name] for name in ("email", "password")}) as bob:
        for other in (boss, bob):
            assert_problem(settle(other, payment, "SUCCEED"), 404, "not_found")
    with Client(base_url=demo.url) as anonymous:
        assert_problem(settle(anonymous, payment, "SUCCEED"), 401, "unauthenticated")

    assert "PENDING" == read(customer, payment)["status"]


def test_a_canceled_payment_cannot_succeed(customer: Client, order: dict[str, Any]) -> None:
    payment = pay(customer, order)
    assert 200 == customer.post(f"{PAYMENTS}/{payment['id']}/cancel").status_code

    problem = assert_problem(settle(customer, payment, "SUCCEED"), 409, "payment_not_open")

    assert "CANCELED" == problem["payment_status"]


def test_a_payment_that_is_not_of_the_sandbox_is_not_found(
    customer: Client, boss: Client, order: dict[str, Any]
) -> None:
    body = {"amount": order["total"], "method": "CASH"}
    payment = boss.post(f"{ORDERS}/{order['id']}/manual-payments", json=body).json()

    assert_problem(settle(customer, payment, "DECLINE"), 404, "not_found")


def test_a_shop_without_the_sandbox_has_neither_its_page_nor_its_payments(alice: Client) -> None:
    payment = {"id": "019ab018-1c20-7d41-8b5e-3f6a7b8c9d0e"}

    assert_problem(settle(alice, payment, "SUCCEED"), 404, "not_found")
    assert_problem(alice.get(f"/sandbox/payments/{payment['id']}"), 404, "not_found")
