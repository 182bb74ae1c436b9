"""GET /orders."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from httpx2 import Client

from tests.support.shop import ORDERS, add_product, place_order, update_status


@pytest.fixture
def all_orders(admin: Client, alice: Client, bob: Client) -> list[dict[str, Any]]:
    """Return five orders by Alice and two by Bob; the first order of each is paid."""
    mug = add_product(admin, price=100, stock=1000)
    orders = [place_order(alice, (mug, quantity)).json() for quantity in (1, 2, 3, 3, 5)]
    orders += [place_order(bob, (mug, quantity)).json() for quantity in (3, 4)]
    for order in (orders[0], orders[5]):
        update_status(admin, order, "PAID")
    return orders


def ids(client: Client, **query: Any) -> list[str]:
    order_ids = []
    response = client.get(ORDERS, params=query)
    while True:
        assert 200 == response.status_code, response.text
        order_ids += [item["id"] for item in response.json()["items"]]
        if "next" not in response.links:
            return order_ids
        response = client.get(response.links["next"]["url"])


def test_customers_list_their_own_orders_and_administrators_all_orders(
    admin: Client, alice: Client, bob: Client, all_orders: list[dict[str, Any]]
) -> None:
    everything = [order["id"] for order in all_orders]

    assert everything[:5][::-1] == ids(alice)
    assert everything[5:][::-1] == ids(bob)
    assert everything[::-1] == ids(admin)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "total", "-total"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_contain_every_order_once_in_sort_order(
    admin: Client, all_orders: list[dict[str, Any]], sort: str, limit: int
) -> None:
    listed = ids(admin, sort=sort, limit=limit)

    by_id = {order["id"]: order for order in all_orders}
    assert sorted(by_id) == sorted(listed)
    keys = [
        by_id[order_id]["total"]["amount"] if "total" in sort else by_id[order_id]["created_at"]
        for order_id in listed
    ]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_filters_can_be_combined(admin: Client, all_orders: list[dict[str, Any]]) -> None:
    bob_id = all_orders[5]["user_id"]

    assert {all_orders[0]["id"], all_orders[5]["id"]} == set(ids(admin, status="PAID"))
    assert 7 == len(ids(admin, status=["PAID", "PENDING"], limit=2))
    assert [] == ids(admin, status="SHIPPED")
    assert [all_orders[5]["id"]] == ids(admin, status="PAID", user_id=bob_id, min_total=300)
    assert [all_orders[4]["id"]] == ids(admin, min_total=500)
    assert [all_orders[0]["id"]] == ids(admin, max_total=100)
    start, end = all_orders[1]["created_at"], all_orders[3]["created_at"]
    assert {all_orders[1]["id"], all_orders[2]["id"]} == set(
        ids(admin, created_from=start, created_to=end, limit=1)
    )
    assert [all_orders[6]["id"]] == ids(admin, q=all_orders[6]["number"].lower())
    assert [] == ids(admin, q="ORD-0000-0000")


def test_a_customer_cannot_list_the_orders_of_another_customer(
    alice: Client, bob: Client, all_orders: list[dict[str, Any]]
) -> None:
    assert [] == ids(alice, user_id=all_orders[5]["user_id"])
    assert 2 == len(ids(bob, user_id=all_orders[5]["user_id"]))
    assert [] == ids(alice, q=all_orders[6]["number"])


def test_the_next_link_contains_every_filter(
    admin: Client, all_orders: list[dict[str, Any]]
) -> None:
    query = {"status": ["PAID", "PENDING"], "created_from": "2020-01-01T00:00:00Z", "limit": 1}

    link = admin.get(ORDERS, params=query).links["next"]["url"]

    for part in ("status=PAID&status=PENDING", "created_from=2020-01-01T00%3A00%3A00Z", "limit=1"):
        assert part in link
    assert len(all_orders) == len(list(itertools.chain(ids(admin, **query))))
