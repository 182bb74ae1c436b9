"""POST and GET /payments/{payment_id}/refunds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
    create_refund,
    place_order,
    record_payment,
)

PRICE = 3000


@pytest.fixture
def order(admin: Client, alice: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin, price=PRICE), 1)).json()
    return placed


@pytest.fixture
def payment(admin: Client, order: dict[str, Any]) -> dict[str, Any]:
    recorded: dict[str, Any] = record_payment(admin, order, PRICE).json()
    return recorded


def list_refunds(client: Client, payment: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"{PAYMENTS}/{payment['id']}/refunds").json()["items"]
    return items


def test_a_part_and_then_the_rest_is_refunded_and_the_order_keeps_its_status(
    admin: Client, alice: Client, order: dict[str, Any], payment: dict[str, Any]
) -> None:
    part, rest = create_refund(admin, payment, 1000), create_refund(admin, payment)

    assert [201, 201] == [part.status_code, rest.status_code], rest.text
    assert ("SUCCEEDED", 1000) == (part.json()["status"], part.json()["amount"]["amount"])
    assert 2000 == rest.json()["amount"]["amount"]
    assert [part.json()["id"], rest.json()["id"]] == [
        refund["id"] for refund in list_refunds(alice, payment)
    ]
    read = alice.get(f"{ORDERS}/{order['id']}").json()
    assert ("PAID", "REFUNDED", PRICE) == (
        read["status"],
        read["payment_status"],
        read["amount_refunded"]["amount"],
    )
    assert [] == audit()


def test_never_more_than_the_payment_is_refunded_however_many_requests_run_at_once(
    admin: Client, payment: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(8) as executor:
        responses = list(executor.map(lambda _: create_refund(admin, payment, 1000), range(8)))

    assert [201] * 3 + [409] * 5 == sorted(response.status_code for response in responses)
    problem = assert_problem(create_refund(admin, payment, 1), 409, "refund_exceeds_captured")
    assert 0 == problem["refundable"]
    assert PRICE == sum(refund["amount"]["amount"] for refund in list_refunds(admin, payment))
    assert [] == audit()


def test_a_second_click_with_the_same_key_refunds_once(
    admin: Client, payment: dict[str, Any]
) -> None:
    first = create_refund(admin, payment, 1000, key="click")
    second = create_refund(admin, payment, 1000, key="click")

    assert first.json() == second.json()
    assert "true" == second.headers["idempotent-replayed"]
    assert 1 == len(list_refunds(admin, payment))


def test_a_payment_without_money_cannot_be_refunded(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    waiting = create_payment(alice, order).json()

    assert_problem(create_refund(admin, waiting), 409, "refund_exceeds_captured")
    assert [] == list_refunds(admin, waiting)


def test_cancelling_a_paid_order_refunds_it(
    admin: Client, order: dict[str, Any], payment: dict[str, Any]
) -> None:
    cancelled = cancel_order(admin, order).json()

    assert ("CANCELLED", "REFUNDED") == (cancelled["status"], cancelled["payment_status"])
    assert [(PRICE, "ORDER_CANCELLED")] == [
        (refund["amount"]["amount"], refund["cause"]) for refund in list_refunds(admin, payment)
    ]


@pytest.mark.parametrize("amount", [0, -1, 1.5, "1"])
def test_the_amount_must_be_a_positive_integer(
    admin: Client, payment: dict[str, Any], amount: Any
) -> None:
    assert_problem(create_refund(admin, payment, amount), 400, "malformed_request")


def test_customers_may_not_refund_and_other_customers_see_nothing(
    alice: Client, bob: Client, payment: dict[str, Any]
) -> None:
    assert_problem(create_refund(alice, payment), 403, "forbidden")
    assert_problem(bob.get(f"{PAYMENTS}/{payment['id']}/refunds"), 404, "not_found")
