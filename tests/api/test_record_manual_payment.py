"""POST /orders/{order_id}/manual-payments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, create_payment, place_order, record_payment

PRICE = 3000


@pytest.fixture
def order(admin: Client, alice: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin, price=PRICE), 1)).json()
    return placed


def paid_state(client: Client, order: dict[str, Any]) -> tuple[str, str, int]:
    """Return an order's status, its payment status, and the amount paid."""
    read = client.get(f"{ORDERS}/{order['id']}").json()
    return read["status"], read["payment_status"], read["amount_paid"]["amount"]


def test_an_order_is_paid_when_its_payments_cover_its_total(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    first = record_payment(admin, order, 1000, reference="Statement 11/2026")

    assert 201 == first.status_code, first.text
    payment = first.json()
    assert ("manual", "CASH", "Statement 11/2026", "SUCCEEDED") == (
        payment["provider"],
        payment["method"],
        payment["reference"],
        payment["status"],
    )
    assert ("PENDING", "PARTIALLY_PAID", 1000) == paid_state(alice, order)
    assert alice.get(f"{ORDERS}/{order['id']}").json()["expires_at"] is None

    assert 201 == record_payment(admin, order, 2000).status_code

    assert ("PAID", "PAID", PRICE) == paid_state(alice, order)
    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    assert "PAID" == events[-1]["to_status"]
    assert [] == audit()


def test_an_open_payment_by_hand_receives_the_money(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    open_payment = create_payment(alice, order).json()

    recorded = record_payment(admin, order, PRICE).json()

    assert (open_payment["id"], "SUCCEEDED") == (recorded["id"], recorded["status"])
    assert ("PAID", "PAID", PRICE) == paid_state(alice, order)


def test_more_than_the_outstanding_balance_is_refused_and_the_balance_is_named(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    record_payment(admin, order, 1000)

    problem = assert_problem(record_payment(admin, order, 2001), 409, "payment_exceeds_balance")

    assert 2000 == problem["balance"]
    assert ("PENDING", "PARTIALLY_PAID", 1000) == paid_state(alice, order)


def test_a_second_click_records_one_payment(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(2) as executor:
        responses = list(
            executor.map(lambda _: record_payment(admin, order, 1000, key="click"), range(2))
        )

    again = record_payment(admin, order, 1000, key="click")
    assert 201 == again.status_code
    assert {201} >= {response.status_code for response in responses} - {409}
    assert ("PENDING", "PARTIALLY_PAID", 1000) == paid_state(alice, order)


def test_the_amount_must_have_the_currency_of_the_order(
    admin: Client, order: dict[str, Any]
) -> None:
    response = admin.post(
        f"{ORDERS}/{order['id']}/manual-payments",
        json={"amount": {"amount": 1000, "currency": "USD"}, "method": "CASH"},
    )

    assert_problem(response, 400, "malformed_request")


@pytest.mark.parametrize("amount", [0, -1, 1.5, "1", 10**18])
def test_the_amount_must_be_a_positive_integer(
    admin: Client, order: dict[str, Any], amount: Any
) -> None:
    assert_problem(record_payment(admin, order, amount), 400, "malformed_request")


def test_customers_may_not_record_payments(alice: Client, order: dict[str, Any]) -> None:
    assert_problem(record_payment(alice, order, PRICE), 403, "forbidden")
    assert ("PENDING", "UNPAID", 0) == paid_state(alice, order)
