"""GET /payments/{payment_id} and GET /orders/{order_id}/payments."""

from __future__ import annotations

from typing import Any

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


def test_an_unchanged_payment_is_304_and_a_changed_one_is_returned(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    created = create_payment(alice, order)
    url = f"{PAYMENTS}/{created.json()['id']}"
    etag = alice.get(url).headers["etag"]
    assert etag == created.headers["etag"]

    assert 304 == alice.get(url, headers={"If-None-Match": etag}).status_code
    record_payment(admin, order, 3000)
    response = alice.get(url, headers={"If-None-Match": etag})

    assert (200, "SUCCEEDED") == (response.status_code, response.json()["status"])


def test_an_order_without_payments_has_an_empty_list(alice: Client, order: dict[str, Any]) -> None:
    page = alice.get(f"{ORDERS}/{order['id']}/payments").json()

    assert {"items": [], "next_cursor": None} == page


def test_payments_are_listed_in_pages_oldest_first(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    recorded = [record_payment(admin, order, 1000).json()["id"] for _ in range(3)]
    url, found, cursor = f"{ORDERS}/{order['id']}/payments", [], None

    while True:
        page = alice.get(url, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [payment["id"] for payment in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert recorded == found


def test_other_customers_get_404_and_administrators_see_everything(
    admin: Client, alice: Client, bob: Client, order: dict[str, Any]
) -> None:
    payment = create_payment(alice, order).json()

    for url in (f"{PAYMENTS}/{payment['id']}", f"{ORDERS}/{order['id']}/payments"):
        assert_problem(bob.get(url), 404, "not_found")
        assert 200 == admin.get(url).status_code
