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


def test_the_ledger_tells_what_came_and_went_the_newest_first(admin: Client, alice: Client) -> None:
    product = add_product(admin, stock=10)
    path = f"{PRODUCTS}/{product['id']}"
    order = place_order(alice, (product, 2)).json()
    cancel_order(alice, order)
    kept = place_order(alice, (product, 4)).json()
    for status in ("PAID", "SHIPPED", "DELIVERED", "RETURNED"):
        update_status(admin, kept, status)
    admin.post(f"{path}/stock-adjustments", json={"delta": -1, "reason": "LOST"})

    found = admin.get(f"{path}/stock-movements").json()["items"]

    assert [
        ("ADJUSTMENT", -1, 9, None),
        ("RETURN", 4, 10, kept["id"]),
        ("ORDER", -4, 6, kept["id"]),
        ("RELEASE", 2, 10, order["id"]),
        ("ORDER", -2, 8, order["id"]),
        ("INITIAL", 10, 10, None),
    ] == [(one["kind"], one["delta"], one["stock_after"], one["order_id"]) for one in found]
    assert get_stock(admin, product) == sum(one["delta"] for one in found)


def test_it_comes_in_pages(admin: Client) -> None:
    product = add_product(admin, stock=0)
    path = f"{PRODUCTS}/{product['id']}"
    for _ in range(7):
        admin.post(f"{path}/stock-adjustments", json={"delta": 1, "reason": "FOUND"})

    levels, answer = [], admin.get(f"{path}/stock-movements", params={"limit": 3})
    while True:
        levels.append([one["stock_after"] for one in answer.json()["items"]])
        if "next" not in answer.links:
            break
        answer = admin.get(answer.links["next"]["url"])

    assert [[7, 6, 5], [4, 3, 2], [1]] == levels


def test_it_is_for_administrators_and_for_products_there_are(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}/stock-movements"

    assert_problem(anonymous.get(path), 401, "unauthenticated")
    assert_problem(alice.get(path), 403, "forbidden")
    assert_problem(admin.get(f"{PRODUCTS}/{uuid4()}/stock-movements"), 404, "not_found")
    admin.delete(f"{PRODUCTS}/{product['id']}")
    assert 200 == admin.get(path).status_code
