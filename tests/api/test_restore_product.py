"""POST /products/{product_id}/restore."""

from __future__ import annotations

from uuid import uuid4

from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import (
    ORDERS,
    PRODUCTS,
    add_product,
    cancel_order,
    get_stock,
    place_order,
    update_status,
)


def test_a_restored_product_can_be_ordered_again(admin: Client, alice: Client) -> None:
    product = add_product(admin, stock=5)
    path = f"{PRODUCTS}/{product['id']}"
    admin.delete(path)

    response = admin.post(f"{path}/restore")

    assert 200 == response.status_code, response.text
    assert (3, None, 5) == tuple(
        response.json()[name] for name in ("version", "archived_at", "stock")
    )
    assert response.json() == alice.get(path).json()
    assert response.headers["etag"] == alice.get(path).headers["etag"]
    assert 201 == place_order(alice, (product, 1)).status_code


def test_restoring_a_product_that_is_not_archived_changes_nothing(admin: Client) -> None:
    product = add_product(admin)

    assert product == admin.post(f"{PRODUCTS}/{product['id']}/restore").json()


def test_if_match_with_an_outdated_etag_is_412(admin: Client) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}"
    admin.delete(path)

    response = admin.post(f"{path}/restore", headers={"If-Match": '"1.10"'})

    assert_problem(response, 412, "precondition_failed")
    assert 200 == admin.post(f"{path}/restore", headers={"If-Match": '"2"'}).status_code


def test_open_orders_of_an_archived_product_continue_and_can_restore_its_stock(
    admin: Client, alice: Client
) -> None:
    product = add_product(admin, stock=10)
    path = f"{PRODUCTS}/{product['id']}"
    cancelled, returned, delivered = (
        place_order(alice, (product, count)).json() for count in (1, 2, 4)
    )
    admin.delete(path)

    assert "CANCELLED" == cancel_order(alice, cancelled).json()["status"]
    for order in (returned, delivered):
        for status in ("PAID", "SHIPPED", "DELIVERED"):
            assert 200 == update_status(admin, order, status).status_code
    assert 200 == update_status(admin, returned, "RETURNED").status_code

    (archived,) = admin.get(f"{PRODUCTS}/archived").json()["items"]
    assert 6 == archived["stock"]
    assert "DELIVERED" == alice.get(f"{ORDERS}/{delivered['id']}").json()["status"]
    assert 6 == admin.post(f"{path}/restore").json()["stock"] == get_stock(alice, product)
    assert [] == audit()


def test_only_administrators_can_restore_products_and_an_unknown_product_is_404(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}/restore"

    assert_problem(anonymous.post(path), 401, "unauthenticated")
    assert_problem(alice.post(path), 403, "forbidden")
    assert_problem(admin.post(f"{PRODUCTS}/{uuid4()}/restore"), 404, "not_found")
