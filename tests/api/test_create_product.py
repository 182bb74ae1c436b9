"""POST /products."""

from __future__ import annotations

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

MUG = {"sku": "MUG", "name": "Mug", "price": {"amount": 1990, "currency": "EUR"}, "stock": 3}


def test_the_location_header_leads_to_the_new_product(admin: Client, anonymous: Client) -> None:
    response = admin.post(PRODUCTS, json=MUG)

    assert 201 == response.status_code
    read = anonymous.get(response.headers["location"])
    assert (response.json(), response.headers["etag"]) == (read.json(), read.headers["etag"])
    assert MUG == {name: read.json()[name] for name in MUG}


def test_a_sku_in_use_is_a_409(admin: Client) -> None:
    add_product(admin, sku="MUG")

    assert_problem(admin.post(PRODUCTS, json=MUG), 409, "sku_taken")


def test_only_administrators_can_create_products(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.post(PRODUCTS, json=MUG), 403, "forbidden")
    assert_problem(anonymous.post(PRODUCTS, json=MUG), 401, "unauthenticated")


def test_the_role_is_checked_before_the_body(alice: Client) -> None:
    assert_problem(alice.post(PRODUCTS, json={}), 403, "forbidden")


def test_a_request_from_another_site_is_rejected(admin: Client) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert_problem(admin.post(PRODUCTS, json=MUG, headers=headers), 403, "cross_site_request")
    same_origin = {"sec-fetch-site": "same-origin", "origin": "https://evil.example"}
    assert 201 == admin.post(PRODUCTS, json=MUG, headers=same_origin).status_code


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("price", {"amount": 19.9, "currency": "EUR"}, "/price/amount"),
        ("price", {"amount": -1, "currency": "EUR"}, "/price/amount"),
        ("price", {"amount": 10**30, "currency": "EUR"}, "/price/amount"),
        ("price", {"amount": 1, "currency": "USD"}, "/price/currency"),
        ("price", {"amount": True, "currency": "EUR"}, "/price/amount"),
        ("stock", -1, "/stock"),
        ("stock", None, "/stock"),
        ("sku", "", "/sku"),
        ("name", "a\u0000b", "/name"),
        ("colour", "blue", "/colour"),
    ],
)
def test_an_invalid_property_is_a_400_that_names_it(
    admin: Client, name: str, value: object, pointer: str
) -> None:
    problem = assert_problem(
        admin.post(PRODUCTS, json={**MUG, name: value}), 400, "malformed_request"
    )

    assert {pointer} == {error["pointer"] for error in problem["errors"]}
