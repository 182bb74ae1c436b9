"""POST /payments/{payment_id}/cancel."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import (
    ORDERS,
    PAYMENTS,
    add_product,
    create_payment,
    place_order,
    record_payment,
)


@pytest.fixture
def order(admin: Client, alice: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin, price=3000), 1)).json()
    return placed


@pytest.fixture
def payment(alice: Client, order: dict[str, Any]) -> dict[str, Any]:
    created: dict[str, Any] = create_payment(alice, order).json()
    return created


def cancel(client: Client, payment: dict[str, Any]) -> Any:
    return client.post(f"{PAYMENTS}/{payment['id']}/cancel")


def test_a_canceled_payment_makes_room_for_another_one_and_the_order_expires_as_before(
    alice: Client, order: dict[str, Any], payment: dict[str, Any]
) -> None:
    response = cancel(alice, payment)

    assert (200, "CANCELED") == (response.status_code, response.json()["status"])
    assert order["expires_at"] == alice.get(f"{ORDERS}/{order['id']}").json()["expires_at"]
    assert 201 == create_payment(alice, order).status_code


def test_canceling_again_changes_nothing(alice: Client, payment: dict[str, Any]) -> None:
    first, second = cancel(alice, payment), cancel(alice, payment)

    assert (200, first.json()) == (second.status_code, second.json())


def test_a_payment_whose_money_has_arrived_cannot_be_canceled(
    admin: Client, alice: Client, order: dict[str, Any], payment: dict[str, Any]
) -> None:
    record_payment(admin, order, 3000)

    problem = assert_problem(cancel(alice, payment), 409, "payment_not_cancelable")

    assert "SUCCEEDED" == problem["payment_status"]


def test_an_administrator_can_cancel_it_and_another_customer_gets_404(
    admin: Client, bob: Client, payment: dict[str, Any]
) -> None:
    assert_problem(cancel(bob, payment), 404, "not_found")
    assert_problem(cancel(bob, {"id": str(uuid4())}), 404, "not_found")
    assert 200 == cancel(admin, payment).status_code
