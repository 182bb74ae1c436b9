"""GET /products/{product_id}/stock-movements."""

from __future__ import annotations

from uuid import uuid4

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import (
    PRODUCTS,
    add_product,
    cancel_order,
    get_stock,
    place_order,
    update_status,
)


def test_every_change_of_the_stock_is_listed_newest_first(admin: Client, alice: Client) -> None:
    product = add_product(admin, stock=10)
    path = f"{PRODUCTS}/{product['id']}"
    order = place_order(alice, (product, 2)).json()
    cancel_order(alice, order)
    returned = place_order(alice, (product, 4)).json()
    for status in ("PAID", "SHIPPED", "DELIVERED", "RETURNED"):
        update_status(admin, returned, status)
    admin.post(f"{path}/stock-adjustments", json={"delta": -1, "reason": "LOST"})

    movements = admin.get(f"{path}/stock-movements").json()["items"]

    assert [
        ("ADJUSTMENT", -1, 9, None),
        ("RETURN", 4, 10, returned["id"]),
        ("ORDER", -4, 6, returned["id"]),
        ("RELEASE", 2, 10, order["id"]),
        ("ORDER", -2, 8, order["id"]),
        ("INITIAL", 10, 10, None),
    ] == [
        (movement["kind"], movement["delta"], movement["stock_after"], movement["order_id"])
        for movement in movements
    ]
    assert get_stock(admin, product) == sum(movement["delta"] for movement in movements)


def test_stock_movements_are_paged(admin: Client) -> None:
    product = add_product(admin, stock=0)
    path = f"{PRODUCTS}/{product['id']}"
    for _ in range(7):
        admin.post(f"{path}/stock-adjustments", json={"delta": 1, "reason": "FOUND"})

    levels, response = [], admin.get(f"{path}/stock-movements", params={"limit": 3})
    while True:
        levels.append([movement["stock_after"] for movement in response.json()["items"]])
        if "next" not in response.links:
            break
        response = admin.get(response.links["next"]["url"])

    assert [[7, 6, 5], [4, 3, 2], [1]] == levels


def test_only_administrators_can_list_stock_movements_and_an_unknown_product_is_404(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}/stock-movements"

    assert_problem(anonymous.get(path), 401, "unauthenticated")
    assert_problem(alice.get(path), 403, "forbidden")
    assert_problem(admin.get(f"{PRODUCTS}/{uuid4()}/stock-movements"), 404, "not_found")
    admin.delete(f"{PRODUCTS}/{product['id']}")
    assert 200 == admin.get(path).status_code
