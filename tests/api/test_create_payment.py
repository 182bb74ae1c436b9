"""POST /orders/{order_id}/payments, by hand. tests/services/test_payments.py has the providers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import (
    ORDERS,
    PAYMENTS,
    add_product,
    cancel_order,
    create_payment,
    place_order,
    record_payment,
)

PRICE = 1990


@pytest.fixture
def order(admin: Client, alice: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin, price=PRICE), 1)).json()
    return placed


def test_a_payment_by_hand_waits_for_the_money_and_gives_the_order_more_time(
    alice: Client, order: dict[str, Any]
) -> None:
    response = create_payment(alice, order)

    assert 201 == response.status_code, response.text
    payment = response.json()
    assert (order["id"], "manual", "PENDING") == (
        payment["order_id"],
        payment["provider"],
        payment["status"],
    )
    assert {"amount": PRICE, "currency": "EUR"} == payment["amount"]
    assert f"{PAYMENTS}/{payment['id']}" == response.headers["location"]
    assert payment == alice.get(response.headers["location"]).json()
    after = alice.get(f"{ORDERS}/{order['id']}").json()
    assert ("PENDING", "UNPAID") == (after["status"], after["payment_status"])
    assert datetime.fromisoformat(after["expires_at"]) > datetime.fromisoformat(order["expires_at"])


def test_a_request_with_the_same_key_returns_the_same_payment(
    alice: Client, order: dict[str, Any]
) -> None:
    first = create_payment(alice, order, key="tab-1")
    second = create_payment(alice, order, key="tab-1")

    assert (201, 201) == (first.status_code, second.status_code)
    assert first.json()["id"] == second.json()["id"]
    assert "true" == second.headers["idempotent-replayed"]


def test_the_same_key_with_another_order_is_refused(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    create_payment(alice, order, key="tab-1")
    other = place_order(alice, (add_product(admin, sku="JUG"), 1)).json()

    assert_problem(create_payment(alice, other, key="tab-1"), 422, "idempotency_key_reused")


def test_a_second_payment_is_refused_while_one_is_open(
    alice: Client, order: dict[str, Any]
) -> None:
    payment = create_payment(alice, order).json()

    problem = assert_problem(create_payment(alice, order), 409, "payment_in_progress")

    assert payment["id"] == problem["payment_id"]


def test_of_two_tabs_that_pay_at_once_one_starts_a_payment(
    alice: Client, order: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(2) as executor:
        responses = list(executor.map(lambda _: create_payment(alice, order), range(2)))

    assert [201, 409] == sorted(response.status_code for response in responses)
    assert 1 == len(alice.get(f"{ORDERS}/{order['id']}/payments").json()["items"])
    assert [] == audit()


def test_another_user_and_an_administrator_get_404(
    admin: Client, bob: Client, order: dict[str, Any]
) -> None:
    for client in (bob, admin):
        assert_problem(create_payment(client, order), 404, "not_found")


def test_a_provider_that_the_shop_does_not_use_is_refused_and_the_others_are_named(
    alice: Client, order: dict[str, Any]
) -> None:
    response = alice.post(f"{ORDERS}/{order['id']}/payments", json={"provider": "paypal"})

    problem = assert_problem(response, 409, "payment_provider_not_enabled")
    assert "manual" in problem["enabled"]


def test_only_a_pending_order_with_an_outstanding_balance_can_be_paid(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    other = place_order(alice, (add_product(admin, sku="JUG"), 1)).json()
    cancel_order(alice, other)
    record_payment(admin, order, PRICE)

    for one in (order, other):
        assert_problem(create_payment(alice, one), 409, "order_not_payable")


@pytest.mark.parametrize("body", [{"provider": 1}, {"provider": ""}, {"amount": 1}, []])
def test_the_body_must_match_the_contract(alice: Client, order: dict[str, Any], body: Any) -> None:
    response = alice.post(f"{ORDERS}/{order['id']}/payments", json=body)

    assert_problem(response, 400, "malformed_request")
