"""POST /products."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Client
from psycopg2.errors import CheckViolation

from services.audit import audit
from tests.support.database import Sql
from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product, place_order

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


def create(admin: Client, key: str, **fields: Any) -> Any:
    return admin.post(PRODUCTS, json={**MUG, **fields}, headers={"Idempotency-Key": key})


def test_a_request_with_the_same_key_returns_the_product_as_it_was_created(
    admin: Client, alice: Client
) -> None:
    first = create(admin, "mug-1")
    path = first.headers["location"]
    admin.patch(path, json={"sku": "CUP", "name": "Cup"})
    place_order(alice, (first.json(), 1))
    admin.delete(path)

    repeated = create(admin, '"mug-1"')

    assert "idempotent-replayed" not in first.headers
    assert "true" == repeated.headers["idempotent-replayed"]
    for name in ("location", "etag"):
        assert first.headers[name] == repeated.headers[name]
    assert (201, first.json()) == (repeated.status_code, repeated.json())
    assert [] == audit()


def test_a_key_is_only_for_one_request(admin: Client) -> None:
    create(admin, "mug-1")

    for fields in ({"stock": 4}, {"sku": "CUP"}, {"description": "New."}):
        assert_problem(create(admin, "mug-1", **fields), 422, "idempotency_key_reused")
    other = {"delta": 1, "reason": "FOUND"}
    adjustment = admin.post(
        f"{PRODUCTS}/{add_product(admin)['id']}/stock-adjustments",
        json=other,
        headers={"Idempotency-Key": "mug-1"},
    )
    assert_problem(adjustment, 422, "idempotency_key_reused")
    assert_problem(create(admin, "mug-2"), 409, "sku_taken")


def test_a_refused_request_does_not_use_up_the_key(admin: Client) -> None:
    taken = add_product(admin, sku="MUG")
    assert_problem(create(admin, "mug-1"), 409, "sku_taken")
    admin.patch(f"{PRODUCTS}/{taken['id']}", json={"sku": "CUP"})

    assert 201 == create(admin, "mug-1").status_code


def test_concurrent_requests_with_the_same_key_create_one_product(admin: Client, sql: Sql) -> None:
    for number in range(10):
        with ThreadPoolExecutor(6) as pool:
            responses = [
                *pool.map(lambda _, key=f"k{number}": create(admin, key, sku=key.upper()), range(6))
            ]

        assert {201} == {response.status_code for response in responses}
        assert 1 == len({response.content for response in responses})
        assert 5 == sum("idempotent-replayed" in response.headers for response in responses)
    assert [(10, 10)] == sql("SELECT count(*), count(DISTINCT product_id) FROM idempotency_key")
    assert [(10,)] == sql("SELECT count(*) FROM stock_movement")
    assert [] == audit()


FRONT = {"url": "https://images.example.com/mug.jpg", "alt": "A blue mug"}


def test_the_images_of_a_new_product_are_returned_in_their_sequence(
    admin: Client, anonymous: Client
) -> None:
    images = [FRONT, {"url": "https://images.example.com/b.png?w=9#x", "alt": '<b>"Bottom"</b> é'}]

    created = admin.post(PRODUCTS, json={**MUG, "images": images})

    assert images == created.json()["images"]
    assert images == anonymous.get(created.headers["location"]).json()["images"]
    assert images == anonymous.get(PRODUCTS).json()["items"][0]["images"]
    assert [] == add_product(admin)["images"]


def test_a_repeated_request_may_have_the_members_of_an_image_in_another_sequence(
    admin: Client,
) -> None:
    first = create(admin, "mug-1", images=[FRONT])
    repeated = create(admin, "mug-1", images=[dict(reversed(FRONT.items()))])

    assert "true" == repeated.headers["idempotent-replayed"]
    assert first.content == repeated.content
    other = create(admin, "mug-1", images=[{**FRONT, "alt": "A mug"}])
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("image", "member"),
    [
        ({"url": "http://images.example.com/mug.jpg"}, "/url"),
        ({"url": "javascript:alert(1)//https://x"}, "/url"),
        ({"url": "https://images.example.com/a mug.jpg"}, "/url"),
        ({"url": "https://images.example.com/mug.jpg\n"}, "/url"),
        ({"url": "https://images.example.com/\u0000"}, "/url"),
        ({"url": 'https://images.example.com/"onerror="x'}, "/url"),
        ({"url": "https://images.example.com[/mug.jpg"}, "/url"),
        ({"url": "https://"}, "/url"),
        ({"url": f"https://x/{'a' * 491}"}, "/url"),
        ({"alt": ""}, "/alt"),
        ({"alt": " "}, "/alt"),
        ({"alt": "a\nb"}, "/alt"),
        ({"alt": "a" * 201}, "/alt"),
        ({"width": 100}, "/width"),
    ],
)
def test_an_invalid_image_is_a_400_that_names_the_member(
    admin: Client, image: dict[str, object], member: str
) -> None:
    body = {**MUG, "images": [FRONT, FRONT | image]}

    problem = assert_problem(admin.post(PRODUCTS, json=body), 400, "malformed_request")

    assert {f"/images/1{member}"} == {error["pointer"] for error in problem["errors"]}


def test_a_product_has_at_most_eight_images(admin: Client, sql: Sql) -> None:
    longest = {"url": f"https://x/{'a' * 490}", "alt": "é" * 200}
    assert 201 == admin.post(PRODUCTS, json={**MUG, "images": [longest] * 8}).status_code

    body = {**MUG, "sku": "NINE", "images": [FRONT] * 9}
    problem = assert_problem(admin.post(PRODUCTS, json=body), 400, "malformed_request")

    assert ["/images"] == [error["pointer"] for error in problem["errors"]]
    for stored in ("'[1, 2, 3, 4, 5, 6, 7, 8, 9]'", "'{}'", "'null'"):
        with pytest.raises(CheckViolation, match="ck_product_images"):
            sql(f"UPDATE product SET images = {stored}")
