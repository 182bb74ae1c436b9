"""GET /orders/{order_id}."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, cancel_order, place_order, update_status


def test_an_order_of_another_customer_is_404(admin: Client, alice: Client, bob: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"

    assert order == alice.get(path).json()
    assert_problem(bob.get(path), 404, "not_found")
    assert order["id"] == admin.get(path).json()["id"]


def test_allowed_transitions_are_those_of_the_caller(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()

    path = f"{ORDERS}/{order['id']}"
    assert {"PAID", "CANCELLED"} == set(admin.get(path).json()["allowed_transitions"])


def test_only_administrators_see_the_customer_in_responses_with_an_order(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin)
    order = place_order(alice, (mug, 1)).json()
    path = f"{ORDERS}/{order['id']}"
    customer = {"id": order["user_id"], "email": "alice@example.com", "name": "Alice"}

    for response in (
        admin.get(path),
        update_status(admin, order, "PENDING"),
        update_status(admin, order, "PAID"),
        cancel_order(admin, order),
    ):
        assert customer == response.json()["customer"]
    assert [customer] == [listed["customer"] for listed in admin.get(ORDERS).json()["items"]]
    key = {"Idempotency-Key": "k"}
    for response in (place_order(admin, (mug, 1), **key), place_order(admin, (mug, 1), **key)):
        assert "Ada Admin" == response.json()["customer"]["name"]

    own = [order, alice.get(path).json(), cancel_order(alice, order).json()]
    assert [] == [item for item in [*own, *alice.get(ORDERS).json()["items"]] if "customer" in item]


def test_the_etag_that_an_administrator_received_works_as_a_precondition(
    admin: Client, alice: Client
) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"
    admin_etag, customer_etag = admin.get(path).headers["etag"], alice.get(path).headers["etag"]

    assert admin_etag != customer_etag  # their representations differ
    assert 304 == admin.get(path, headers={"If-None-Match": admin_etag}).status_code
    assert 200 == admin.get(path, headers={"If-None-Match": customer_etag}).status_code
    paid = admin.put(f"{path}/status", json={"status": "PAID"}, headers={"If-Match": admin_etag})
    assert (200, admin.get(path).headers["etag"]) == (paid.status_code, paid.headers["etag"])


def test_if_none_match_with_the_current_etag_is_304(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"
    etag = alice.get(path).headers["etag"]

    assert "private, no-cache" == alice.get(path).headers["cache-control"]
    assert 304 == alice.get(path, headers={"If-None-Match": etag}).status_code
    update_status(admin, order, "PAID")
    assert 200 == alice.get(path, headers={"If-None-Match": etag}).status_code
