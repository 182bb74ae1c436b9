"""GET /products."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product


@pytest.fixture
def shelf(admin: Client) -> list[dict[str, Any]]:
    """Return products of which some share a price and some a name."""
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
    """Return the SKUs of every page, following `Link` as a browser of pages would."""
    found = []
    answer = client.get(PRODUCTS, params=query)
    while True:
        assert 200 == answer.status_code, answer.text
        found.append([item["sku"] for item in answer.json()["items"]])
        if answer.json()["next_cursor"] is None:
            assert "next" not in answer.links
            return found
        answer = client.get(answer.links["next"]["url"])


def test_an_empty_shop_has_an_empty_page(anonymous: Client) -> None:
    assert {"items": [], "next_cursor": None} == anonymous.get(PRODUCTS).json()


@pytest.mark.parametrize("sort", ["name", "-name", "price", "-price", "created_at", "-created_at"])
@pytest.mark.parametrize("limit", [1, 4, 11, 100])
def test_pages_hold_everything_once_and_in_order(
    anonymous: Client, shelf: list[dict[str, Any]], sort: str, limit: int
) -> None:
    got = pages(anonymous, sort=sort, limit=limit)

    skus = list(itertools.chain.from_iterable(got))
    assert sorted(one["sku"] for one in shelf) == sorted(skus)
    assert all(len(page) == limit for page in got[:-1])
    values = {
        one["sku"]: one["price"]["amount"] if "price" in sort else one[sort.lstrip("-")]
        for one in shelf
    }
    ordered = [values[sku] for sku in skus]
    assert ordered == sorted(ordered, reverse=sort.startswith("-"))


def test_filters_narrow_down_together(anonymous: Client, shelf: list[dict[str, Any]]) -> None:
    got = pages(anonymous, min_price=1100, max_price=1100, in_stock="true", limit=1)

    expected = {one["sku"] for one in shelf if one["price"]["amount"] == 1100 and one["stock"]}
    assert expected == {sku for page in got for sku in page}
    assert expected


@pytest.mark.parametrize(
    ("q", "count"),
    [("lamp", 11), ("LAM", 11), ("lamp 3", 2), ("sku-07", 1), ("warm lig", 5), ("x", 0)],
)
def test_search_finds_words_and_prefixes(
    anonymous: Client, shelf: list[dict[str, Any]], q: str, count: int
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
def test_words_stand_between_any_punctuation(
    anonymous: Client, admin: Client, name: str, q: str
) -> None:
    add_product(admin, sku="FOUND", name=name)
    add_product(admin, sku="OTHER", name="Else")

    assert [["FOUND"]] == pages(anonymous, q=q)


def test_what_is_no_word_is_found_nowhere(anonymous: Client, admin: Client) -> None:
    add_product(admin, sku="OTHER", name="“☕”")

    assert [[]] == pages(anonymous, q="“☕” —\u00a0")


def test_a_search_is_sorted_by_relevance(anonymous: Client, admin: Client) -> None:
    add_product(admin, sku="TOLD", name="A shade", description="For any lamp")
    add_product(admin, sku="CALLED", name="Lamp")
    add_product(admin, sku="LAMP", name="Torch")

    assert [["LAMP", "CALLED", "TOLD"]] == pages(anonymous, q="lamp")
    assert [["LAMP"], ["CALLED"], ["TOLD"]] == pages(anonymous, q="lamp", limit=1)
    assert [["TOLD", "CALLED", "LAMP"]] == pages(anonymous, q="lamp", sort="name")


@pytest.mark.parametrize("q", ["'", "&", "!", ":*", "a:*b", "<->", "(", "\\", "%", "a | b", "日本"])
def test_search_takes_any_text(anonymous: Client, shelf: list[dict[str, Any]], q: str) -> None:
    assert 200 == anonymous.get(PRODUCTS, params={"q": q}).status_code


def test_whoever_has_the_page_already_gets_304(
    admin: Client, anonymous: Client, shelf: list[dict[str, Any]]
) -> None:
    etag = anonymous.get(PRODUCTS).headers["etag"]

    assert 304 == anonymous.get(PRODUCTS, headers={"If-None-Match": etag}).status_code
    add_product(admin, sku="NEW")
    assert 200 == anonymous.get(PRODUCTS, headers={"If-None-Match": etag}).status_code


@pytest.mark.parametrize("cursor", ["A" * 22, "_" * 400, "zz-_" * 40, "A" * 23, "A" * 25])
@pytest.mark.parametrize("sort", ["name", "-price", "created_at"])
def test_any_cursor_of_the_right_form_is_some_position(
    anonymous: Client, shelf: list[dict[str, Any]], cursor: str, sort: str
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
def test_what_does_not_fit_is_named(anonymous: Client, query: str, parameter: str) -> None:
    refused = assert_problem(anonymous.get(f"{PRODUCTS}?{query}"), 400, "malformed_request")

    assert {(parameter, "query")} == {(one["parameter"], one["in"]) for one in refused["errors"]}


@pytest.mark.parametrize("sort", ["stock", "-stock"])
def test_the_shelf_is_sorted_by_how_much_there_is(
    admin: Client, shelf: list[dict[str, Any]], sort: str
) -> None:
    stocks = {one["sku"]: one["stock"] for one in shelf}

    skus = [sku for page in pages(admin, sort=sort, limit=3) for sku in page]

    assert sorted(stocks) == sorted(skus)
    ordered = [stocks[sku] for sku in skus]
    assert ordered == sorted(ordered, reverse=sort.startswith("-"))


def test_the_shelf_is_filtered_by_how_much_there_is(admin: Client) -> None:
    for stock in (0, 3, 5, 40):
        add_product(admin, sku=f"S-{stock}", stock=stock)

    assert [["S-0", "S-3"], ["S-5"]] == pages(admin, sort="stock", max_stock=5, limit=2)
    assert [["S-3", "S-5"]] == pages(admin, min_stock=1, max_stock=5)
    assert [["S-5", "S-3"]] == pages(admin, sort="-stock", max_stock=5, in_stock="true")
    assert [["S-0"]] == pages(admin, min_stock=0, in_stock="false")


def test_browsing_is_the_same_signed_in_or_not(
    admin: Client, anonymous: Client, shelf: list[dict[str, Any]]
) -> None:
    one, other = admin.get(PRODUCTS), anonymous.get(PRODUCTS)

    assert one.json() == other.json()
    assert one.headers["etag"] == other.headers["etag"]
    assert "public, no-cache" == one.headers["cache-control"] == other.headers["cache-control"]
