"""DELETE /products/{product_id}."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, PRODUCTS, add_product, place_order


def test_an_archived_product_is_no_longer_in_the_catalogue(
    admin: Client, anonymous: Client
) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}"

    response = admin.delete(path)

    assert (204, b"") == (response.status_code, response.content)
    assert_problem(anonymous.get(path), 404, "not_found")
    assert [] == anonymous.get(PRODUCTS).json()["items"]
    assert_problem(admin.delete(path), 404, "not_found")


def test_existing_orders_are_unchanged_and_new_orders_of_the_product_are_rejected(
    admin: Client, alice: Client
) -> None:
    product = add_product(admin)
    order = place_order(alice, (product, 1)).json()

    admin.delete(f"{PRODUCTS}/{product['id']}")

    assert order == alice.get(f"{ORDERS}/{order['id']}").json()
    problem = assert_problem(place_order(alice, (product, 1)), 409, "products_unavailable")
    assert [{"product_id": product["id"], "requested": 1}] == problem["lines"]


def test_if_match_with_an_outdated_etag_is_412(admin: Client, anonymous: Client) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}"
    etag = anonymous.get(path).headers["etag"]
    admin.patch(path, json={"name": "Changed"})

    assert_problem(admin.delete(path, headers={"If-Match": etag}), 412, "precondition_failed")
    assert 200 == anonymous.get(path).status_code


def test_a_customer_cannot_archive_a_product(alice: Client, admin: Client) -> None:
    assert_problem(alice.delete(f"{PRODUCTS}/{add_product(admin)['id']}"), 403, "forbidden")
