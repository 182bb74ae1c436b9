"""POST /products."""

from __future__ import annotations

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

MUG = {"sku": "MUG", "name": "Mug", "price": {"amount": 1990, "currency": "EUR"}, "stock": 3}


def test_a_new_product_is_where_its_location_says(admin: Client, anonymous: Client) -> None:
    answer = admin.post(PRODUCTS, json=MUG)

    assert 201 == answer.status_code
    read = anonymous.get(answer.headers["location"])
    assert (answer.json(), answer.headers["etag"]) == (read.json(), read.headers["etag"])
    assert MUG == {name: read.json()[name] for name in MUG}


def test_a_sku_is_taken_once(admin: Client) -> None:
    add_product(admin, sku="MUG")

    assert_problem(admin.post(PRODUCTS, json=MUG), 409, "sku_taken")


def test_a_client_may_not(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.post(PRODUCTS, json=MUG), 403, "forbidden")
    assert_problem(anonymous.post(PRODUCTS, json=MUG), 401, "unauthenticated")


def test_shape_is_judged_before_role(alice: Client) -> None:
    assert_problem(alice.post(PRODUCTS, json={}), 400, "malformed_request")


def test_another_site_cannot_use_the_cookie(admin: Client) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert_problem(admin.post(PRODUCTS, json=MUG, headers=headers), 403, "cross_site_request")
    same = {"sec-fetch-site": "same-origin", "origin": "https://evil.example"}
    assert 201 == admin.post(PRODUCTS, json=MUG, headers=same).status_code


@pytest.mark.parametrize(
    ("member", "value", "pointer"),
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
def test_what_does_not_fit_is_named(
    admin: Client, member: str, value: object, pointer: str
) -> None:
    refused = assert_problem(
        admin.post(PRODUCTS, json={**MUG, member: value}), 400, "malformed_request"
    )

    assert {pointer} == {one["pointer"] for one in refused["errors"]}
