"""GET /products/archived."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

ARCHIVED = f"{PRODUCTS}/archived"


def test_an_administrator_can_search_sort_and_page_archived_products(
    admin: Client, anonymous: Client
) -> None:
    assert {"items": [], "next_cursor": None} == admin.get(ARCHIVED).json()
    mugs = [add_product(admin, sku=f"MUG-{number}") for number in range(3)]
    for mug in mugs[:2]:
        assert mug["archived_at"] is None
        admin.delete(f"{PRODUCTS}/{mug['id']}")

    first = admin.get(ARCHIVED, params={"limit": 1, "sort": "created_at", "q": "mug"})
    second = admin.get(first.links["next"]["url"])

    assert ["MUG-0"] == [product["sku"] for product in first.json()["items"]]
    assert ["MUG-1"] == [product["sku"] for product in second.json()["items"]]
    assert second.json()["next_cursor"] is None
    (last,) = second.json()["items"]
    assert last["archived_at"] == last["updated_at"]
    assert ["MUG-2"] == [product["sku"] for product in anonymous.get(PRODUCTS).json()["items"]]


def test_only_administrators_can_list_archived_products(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(ARCHIVED), 403, "forbidden")
    assert_problem(anonymous.get(ARCHIVED), 401, "unauthenticated")
