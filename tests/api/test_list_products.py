"""GET /products."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from httpx2 import Client

from tests.support.contract import DOCUMENT
from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product


@pytest.fixture
def catalogue(admin: Client) -> list[dict[str, Any]]:
    """Create eleven products, some with equal prices and some with equal names."""
    return [
        add_product(
            admin,
            sku=f"SKU-{number:02}",
            price=1000 + 100 * (number % 3),
            stock=number % 2,
            name=f"Lamp {number % 4}",
            description="Warm white light" if number % 2 else "",
        )
        for number in range(11)
    ]


def pages(client: Client, **query: Any) -> list[list[str]]:
    """Return the SKUs of every page; follow the `next` link until there is none."""
    sku_pages = []
    response = client.get(PRODUCTS, params=query)
    while True:
        assert 200 == response.status_code, response.text
        sku_pages.append([item["sku"] for item in response.json()["items"]])
        if response.json()["next_cursor"] is None:
            assert "next" not in response.links
            return sku_pages
        response = client.get(response.links["next"]["url"])


def test_a_shop_without_products_returns_an_empty_page(anonymous: Client) -> None:
    assert {"items": [], "next_cursor": None} == anonymous.get(PRODUCTS).json()


@pytest.mark.parametrize("sort", ["name", "-name", "price", "-price", "created_at", "-created_at"])
@pytest.mark.parametrize("limit", [1, 4, 11, 100])
def test_pages_contain_every_product_once_in_sort_order(
    anonymous: Client, catalogue: list[dict[str, Any]], sort: str, limit: int
) -> None:
    listed = pages(anonymous, sort=sort, limit=limit)

    skus = list(itertools.chain.from_iterable(listed))
    assert sorted(product["sku"] for product in catalogue) == sorted(skus)
    assert all(len(page) == limit for page in listed[:-1])
    values = {
        product["sku"]: (
            product["price"]["amount"] if "price" in sort else product[sort.lstrip("-")]
        )
        for product in catalogue
    }
    sort_keys = [values[sku] for sku in skus]
    assert sort_keys == sorted(sort_keys, reverse=sort.startswith("-"))


def test_filters_can_be_combined(anonymous: Client, catalogue: list[dict[str, Any]]) -> None:
    listed = pages(anonymous, min_price=1100, max_price=1100, in_stock="true", limit=1)

    expected = {
        product["sku"]
        for product in catalogue
        if product["price"]["amount"] == 1100 and product["stock"]
    }
    assert expected == {sku for page in listed for sku in page}
    assert expected


@pytest.mark.parametrize(
    ("q", "count"),
    [("lamp", 11), ("LAM", 11), ("lamp 3", 2), ("sku-07", 1), ("warm lig", 5), ("x", 0)],
)
def test_search_finds_words_and_prefixes(
    anonymous: Client, catalogue: list[dict[str, Any]], q: str, count: int
) -> None:
    assert count == sum(map(len, pages(anonymous, q=q, limit=3)))


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("Cup “Barista”", "barista"),
        ("Cup „Barista“, big", "“barista”"),
        ("Café—Bar", "bar"),
        ("Café—Bar", "CAFÉ\u2013BAR"),
        ("O\u2019Neill\u2019s", "neill"),
        ("O'Neill's", "o\u2019neill\u2019s"),
        ("Tea\u00a0pot", "pot"),
        ("☕Mug", "mug"),
        ("😀Mug (new)", "☕ mug"),
        ("¿Qué? ¡Taza!", "taza que\u0301"),
        ("Cafe\u0301", "café"),
        ("お茶・急須", "急須"),
        ("お茶「急須」", "急須"),
        ("Tisch 80\u00d760", "60"),
        ("x\ufeffy [z]^{w}~v`u", "y z w v u"),
    ],
)
def test_any_punctuation_separates_words(
    anonymous: Client, admin: Client, name: str, q: str
) -> None:
    add_product(admin, sku="FOUND", name=name)
    add_product(admin, sku="OTHER", name="Else")

    assert [["FOUND"]] == pages(anonymous, q=q)


def test_a_search_without_any_word_finds_nothing(anonymous: Client, admin: Client) -> None:
    add_product(admin, sku="OTHER", name="“☕”")

    assert [[]] == pages(anonymous, q="“☕” —\u00a0")


def test_a_search_is_sorted_by_relevance(anonymous: Client, admin: Client) -> None:
    add_product(admin, sku="DESCRIBED", name="A shade", description="For any lamp")
    add_product(admin, sku="NAMED", name="Lamp")
    add_product(admin, sku="LAMP", name="Torch")

    assert [["LAMP", "NAMED", "DESCRIBED"]] == pages(anonymous, q="lamp")
    assert [["LAMP"], ["NAMED"], ["DESCRIBED"]] == pages(anonymous, q="lamp", limit=1)
    assert [["DESCRIBED", "NAMED", "LAMP"]] == pages(anonymous, q="lamp", sort="name")


@pytest.mark.parametrize("q", ["'", "&", "!", ":*", "a:*b", "<->", "(", "\\", "%", "a | b", "日本"])
def test_a_search_accepts_any_text(
    anonymous: Client, catalogue: list[dict[str, Any]], q: str
) -> None:
    assert 200 == anonymous.get(PRODUCTS, params={"q": q}).status_code


def test_if_none_match_with_the_current_etag_is_304(
    admin: Client, anonymous: Client, catalogue: list[dict[str, Any]]
) -> None:
    etag = anonymous.get(PRODUCTS).headers["etag"]

    assert 304 == anonymous.get(PRODUCTS, headers={"If-None-Match": etag}).status_code
    add_product(admin, sku="NEW")
    assert 200 == anonymous.get(PRODUCTS, headers={"If-None-Match": etag}).status_code


# 22 and 400 characters are the bounds of the contract. A base64 text never has 4n + 1 characters,
# such as 25. In 22 or 23 characters there is only an id, without the value of the sort key.
SORTS = DOCUMENT["components"]["parameters"]["ProductSort"]["schema"]["enum"]


@pytest.mark.parametrize("cursor", ["A" * 22, "_" * 400, "zz-_" * 40, "A" * 23, "A" * 25, "f" * 32])
@pytest.mark.parametrize("sort", SORTS)
def test_any_well_formed_cursor_is_accepted(
    anonymous: Client, catalogue: list[dict[str, Any]], cursor: str, sort: str
) -> None:
    assert 200 == anonymous.get(PRODUCTS, params={"cursor": cursor, "sort": sort}).status_code


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=5&limit=6", "limit"),
        ("sort=colour", "sort"),
        ("min_stock=-1", "min_stock"),
        ("max_stock=1e3", "max_stock"),
        ("in_stock=TRUE", "in_stock"),
        ("min_price=-1", "min_price"),
        ("page=2", "page"),
        ("cursor=short", "cursor"),
        ("q=", "q"),
    ],
)
def test_an_invalid_query_parameter_is_a_400_that_names_it(
    anonymous: Client, query: str, parameter: str
) -> None:
    problem = assert_problem(anonymous.get(f"{PRODUCTS}?{query}"), 400, "malformed_request")

    assert {(parameter, "query")} == {
        (error["parameter"], error["in"]) for error in problem["errors"]
    }


@pytest.mark.parametrize("sort", ["stock", "-stock"])
def test_products_can_be_sorted_by_stock(
    admin: Client, catalogue: list[dict[str, Any]], sort: str
) -> None:
    stocks = {product["sku"]: product["stock"] for product in catalogue}

    skus = [sku for page in pages(admin, sort=sort, limit=3) for sku in page]

    assert sorted(stocks) == sorted(skus)
    sort_keys = [stocks[sku] for sku in skus]
    assert sort_keys == sorted(sort_keys, reverse=sort.startswith("-"))


def test_products_can_be_filtered_by_stock(admin: Client) -> None:
    for stock in (0, 3, 5, 40):
        add_product(admin, sku=f"S-{stock}", stock=stock)

    assert [["S-0", "S-3"], ["S-5"]] == pages(admin, sort="stock", max_stock=5, limit=2)
    assert [["S-3", "S-5"]] == pages(admin, min_stock=1, max_stock=5)
    assert [["S-5", "S-3"]] == pages(admin, sort="-stock", max_stock=5, in_stock="true")
    assert [["S-0"]] == pages(admin, min_stock=0, in_stock="false")


def test_the_catalogue_is_the_same_for_signed_in_and_anonymous_clients(
    admin: Client, anonymous: Client, catalogue: list[dict[str, Any]]
) -> None:
    signed_in, not_signed_in = admin.get(PRODUCTS), anonymous.get(PRODUCTS)

    assert signed_in.json() == not_signed_in.json()
