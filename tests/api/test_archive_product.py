"""DELETE /products/{product_id}."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, PRODUCTS, add_product, place_order


def test_an_archived_product_is_gone_from_the_catalogue(admin: Client, anonymous: Client) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}"

    answer = admin.delete(path)

    assert (204, b"") == (answer.status_code, answer.content)
    assert_problem(anonymous.get(path), 404, "not_found")
    assert [] == anonymous.get(PRODUCTS).json()["items"]
    assert_problem(admin.delete(path), 404, "not_found")


def test_past_orders_keep_their_snapshot_and_new_ones_are_refused(
    admin: Client, alice: Client
) -> None:
    product = add_product(admin)
    order = place_order(alice, (product, 1)).json()

    admin.delete(f"{PRODUCTS}/{product['id']}")

    assert order == alice.get(f"{ORDERS}/{order['id']}").json()
    refused = assert_problem(place_order(alice, (product, 1)), 409, "products_unavailable")
    assert [{"product_id": product["id"], "requested": 1}] == refused["lines"]


def test_only_the_version_that_was_read_is_archived(admin: Client, anonymous: Client) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}"
    etag = anonymous.get(path).headers["etag"]
    admin.patch(path, json={"name": "Changed"})

    assert_problem(admin.delete(path, headers={"If-Match": etag}), 412, "precondition_failed")
    assert 200 == anonymous.get(path).status_code


def test_a_client_may_not(alice: Client, admin: Client) -> None:
    assert_problem(alice.delete(f"{PRODUCTS}/{add_product(admin)['id']}"), 403, "forbidden")
