"""GET /orders."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from httpx2 import Client

from tests.support.shop import ORDERS, add_product, place_order, update_status


@pytest.fixture
def ordered(admin: Client, alice: Client, bob: Client) -> list[dict[str, Any]]:
    """Return five orders of Alice's and two of Bob's, two of them paid."""
    mug = add_product(admin, price=100, stock=1000)
    orders = [place_order(alice, (mug, quantity)).json() for quantity in (1, 2, 3, 3, 5)]
    orders += [place_order(bob, (mug, quantity)).json() for quantity in (3, 4)]
    for order in (orders[0], orders[5]):
        update_status(admin, order, "PAID")
    return orders


def ids(client: Client, **query: Any) -> list[str]:
    found = []
    answer = client.get(ORDERS, params=query)
    while True:
        assert 200 == answer.status_code, answer.text
        found += [item["id"] for item in answer.json()["items"]]
        if "next" not in answer.links:
            return found
        answer = client.get(answer.links["next"]["url"])


def test_everybody_sees_their_own_and_an_administrator_all(
    admin: Client, alice: Client, bob: Client, ordered: list[dict[str, Any]]
) -> None:
    everything = [order["id"] for order in ordered]

    assert everything[:5][::-1] == ids(alice)
    assert everything[5:][::-1] == ids(bob)
    assert everything[::-1] == ids(admin)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "total", "-total"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_hold_everything_once_and_in_order(
    admin: Client, ordered: list[dict[str, Any]], sort: str, limit: int
) -> None:
    got = ids(admin, sort=sort, limit=limit)

    by_id = {order["id"]: order for order in ordered}
    assert sorted(by_id) == sorted(got)
    keys = [
        by_id[one]["total"]["amount"] if "total" in sort else by_id[one]["created_at"]
        for one in got
    ]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_filters_narrow_down_together(admin: Client, ordered: list[dict[str, Any]]) -> None:
    bobs = ordered[5]["user_id"]

    assert {ordered[0]["id"], ordered[5]["id"]} == set(ids(admin, status="PAID"))
    assert 7 == len(ids(admin, status=["PAID", "PENDING"], limit=2))
    assert [] == ids(admin, status="SHIPPED")
    assert [ordered[5]["id"]] == ids(admin, status="PAID", user_id=bobs, min_total=300)
    assert [ordered[4]["id"]] == ids(admin, min_total=500)
    assert [ordered[0]["id"]] == ids(admin, max_total=100)
    start, end = ordered[1]["created_at"], ordered[3]["created_at"]
    assert {ordered[1]["id"], ordered[2]["id"]} == set(
        ids(admin, created_from=start, created_to=end, limit=1)
    )
    assert [ordered[6]["id"]] == ids(admin, q=ordered[6]["number"].lower())
    assert [] == ids(admin, q="ORD-0000-0000")


def test_a_client_finds_nothing_under_another_id(
    alice: Client, bob: Client, ordered: list[dict[str, Any]]
) -> None:
    assert [] == ids(alice, user_id=ordered[5]["user_id"])
    assert 2 == len(ids(bob, user_id=ordered[5]["user_id"]))
    assert [] == ids(alice, q=ordered[6]["number"])


def test_a_link_repeats_every_filter(admin: Client, ordered: list[dict[str, Any]]) -> None:
    query = {"status": ["PAID", "PENDING"], "created_from": "2020-01-01T00:00:00Z", "limit": 1}

    link = admin.get(ORDERS, params=query).links["next"]["url"]

    for part in ("status=PAID&status=PENDING", "created_from=2020-01-01T00%3A00%3A00Z", "limit=1"):
        assert part in link
    assert len(ordered) == len(list(itertools.chain(ids(admin, **query))))
