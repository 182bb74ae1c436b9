"""GET /orders/{order_id}."""

from __future__ import annotations

from tests.api.conftest import Client
from tests.api.problems import problem
from tests.api.shop import ORDERS, add_product, move, place


def test_somebody_elses_order_is_not_found(admin: Client, alice: Client, bob: Client) -> None:
    order = place(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"

    assert order == alice.get(path).json()
    problem(bob.get(path), 404, "not_found")
    assert order["id"] == admin.get(path).json()["id"]


def test_it_says_what_the_one_who_asks_may_do(admin: Client, alice: Client) -> None:
    order = place(alice, (add_product(admin), 1)).json()

    path = f"{ORDERS}/{order['id']}"
    assert {"PAID", "CANCELLED"} == set(admin.get(path).json()["allowed_transitions"])


def test_whoever_has_it_already_gets_304(admin: Client, alice: Client) -> None:
    order = place(alice, (add_product(admin), 1)).json()
    path = f"{ORDERS}/{order['id']}"
    etag = alice.get(path).headers["etag"]

    assert "private, no-cache" == alice.get(path).headers["cache-control"]
    assert 304 == alice.get(path, headers={"If-None-Match": etag}).status_code
    move(admin, order, "PAID")
    assert 200 == alice.get(path, headers={"If-None-Match": etag}).status_code
