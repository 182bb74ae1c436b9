"""PATCH /products/{product_id}."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product, place_order

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def path(admin: Client) -> str:
    return f"{PRODUCTS}/{add_product(admin)['id']}"


def patch(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.patch(path, json=body, headers={"content-type": MERGE_PATCH, **headers})


def test_what_is_left_out_stays(admin: Client, anonymous: Client, path: str) -> None:
    before = anonymous.get(path).json()

    answer = patch(admin, path, {"name": "Red mug", "price": {"amount": 0, "currency": "EUR"}})

    assert 200 == answer.status_code
    after = anonymous.get(path).json()
    assert answer.json() == after
    assert {"name", "price", "version", "updated_at"} == {
        name for name in before if before[name] != after[name]
    }


def test_plain_json_does_as_well(admin: Client, path: str) -> None:
    assert 200 == admin.patch(path, json={"name": "Red mug"}).status_code


def test_only_the_version_that_was_read_is_changed(admin: Client, path: str) -> None:
    etag = admin.get(path).headers["etag"]
    assert 200 == patch(admin, path, {"name": "First"}, **{"If-Match": etag}).status_code

    assert_problem(
        patch(admin, path, {"name": "Second"}, **{"If-Match": etag}), 412, "precondition_failed"
    )

    assert "First" == admin.get(path).json()["name"]


def test_a_sale_in_between_does_not_fail_the_change(admin: Client, alice: Client) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}"
    etag = admin.get(path).headers["etag"]
    place_order(alice, (product, 1))

    assert 200 == patch(admin, path, {"name": "Red mug"}, **{"If-Match": etag}).status_code


@pytest.mark.parametrize("condition", ['W/"1.10"', '"nonsense"', '"999.1"', '"", "x"'])
def test_another_tag_does_not_match(admin: Client, path: str, condition: str) -> None:
    answer = patch(admin, path, {"name": "x"}, **{"If-Match": condition})

    assert_problem(answer, 412, "precondition_failed")


def test_any_version_will_do_for_a_star_or_one_of_several(admin: Client, path: str) -> None:
    etag = admin.get(path).headers["etag"]
    assert 200 == patch(admin, path, {"name": "A"}, **{"If-Match": f'"9.9", {etag}'}).status_code
    assert 200 == patch(admin, path, {"name": "B"}, **{"If-Match": "*"}).status_code


def test_a_sku_of_another_product_is_taken(admin: Client, path: str) -> None:
    add_product(admin, sku="OTHER")

    assert_problem(patch(admin, path, {"sku": "OTHER"}), 409, "sku_taken")


@pytest.mark.parametrize("body", [{}, {"name": None}, {"stock": 5}, {"id": "x"}, [], "x", None, 1])
def test_what_does_not_fit_is_400(admin: Client, path: str, body: Any) -> None:
    assert_problem(patch(admin, path, body), 400, "malformed_request")


def test_a_client_may_not(alice: Client, admin: Client, path: str) -> None:
    assert_problem(patch(alice, path, {"name": "Mine"}), 403, "forbidden")


def test_an_unknown_one_is_404(admin: Client) -> None:
    path = f"{PRODUCTS}/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"

    assert_problem(patch(admin, path, {"name": "x"}), 404, "not_found")
