"""GET /orders/{order_id}."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, cancel_order, place_order, update_status


def test_somebody_elses_order_is_not_found(admin: Client, alice: Client, bob: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"

    assert order == alice.get(path).json()
    assert_problem(bob.get(path), 404, "not_found")
    assert order["id"] == admin.get(path).json()["id"]


def test_it_says_what_the_one_who_asks_may_do(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()

    path = f"{ORDERS}/{order['id']}"
    assert {"PAID", "CANCELLED"} == set(admin.get(path).json()["allowed_transitions"])


def test_an_administrator_sees_the_customer_wherever_an_order_is_answered_and_nobody_else_does(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin)
    order = place_order(alice, (mug, 1)).json()
    path = f"{ORDERS}/{order['id']}"
    customer = {"id": order["user_id"], "email": "alice@example.com", "name": "Alice"}

    for answer in (
        admin.get(path),
        update_status(admin, order, "PENDING"),
        update_status(admin, order, "PAID"),
        cancel_order(admin, order),
    ):
        assert customer == answer.json()["customer"]
    assert [customer] == [one["customer"] for one in admin.get(ORDERS).json()["items"]]
    key = {"Idempotency-Key": "k"}
    for answer in (place_order(admin, (mug, 1), **key), place_order(admin, (mug, 1), **key)):
        assert "Ada Admin" == answer.json()["customer"]["name"]

    mine = [order, alice.get(path).json(), cancel_order(alice, order).json()]
    assert [] == [one for one in [*mine, *alice.get(ORDERS).json()["items"]] if "customer" in one]


def test_what_an_administrator_has_seen_can_be_held_against_it(
    admin: Client, alice: Client
) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"
    seen, mine = admin.get(path).headers["etag"], alice.get(path).headers["etag"]

    assert seen != mine  # they are not shown the same
    assert 304 == admin.get(path, headers={"If-None-Match": seen}).status_code
    assert 200 == admin.get(path, headers={"If-None-Match": mine}).status_code
    paid = admin.put(f"{path}/status", json={"status": "PAID"}, headers={"If-Match": seen})
    assert (200, admin.get(path).headers["etag"]) == (paid.status_code, paid.headers["etag"])


def test_whoever_has_it_already_gets_304(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"
    etag = alice.get(path).headers["etag"]

    assert "private, no-cache" == alice.get(path).headers["cache-control"]
    assert 304 == alice.get(path, headers={"If-None-Match": etag}).status_code
    update_status(admin, order, "PAID")
    assert 200 == alice.get(path, headers={"If-None-Match": etag}).status_code
