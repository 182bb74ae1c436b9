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


def test_properties_missing_from_the_patch_are_unchanged(
    admin: Client, anonymous: Client, path: str
) -> None:
    before = anonymous.get(path).json()

    response = patch(admin, path, {"name": "Red mug", "price": {"amount": 0, "currency": "EUR"}})

    assert 200 == response.status_code
    after = anonymous.get(path).json()
    assert response.json() == after
    assert {"name", "price", "version", "updated_at"} == {
        name for name in before if before[name] != after[name]
    }


def test_the_media_type_application_json_is_accepted_too(admin: Client, path: str) -> None:
    assert 200 == admin.patch(path, json={"name": "Red mug"}).status_code


def test_if_match_with_an_outdated_etag_is_412(admin: Client, path: str) -> None:
    etag = admin.get(path).headers["etag"]
    assert 200 == patch(admin, path, {"name": "First"}, **{"If-Match": etag}).status_code

    assert_problem(
        patch(admin, path, {"name": "Second"}, **{"If-Match": etag}), 412, "precondition_failed"
    )

    assert "First" == admin.get(path).json()["name"]


def test_an_order_placed_after_the_product_was_read_does_not_fail_if_match(
    admin: Client, alice: Client
) -> None:
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}"
    etag = admin.get(path).headers["etag"]
    place_order(alice, (product, 1))

    assert 200 == patch(admin, path, {"name": "Red mug"}, **{"If-Match": etag}).status_code


@pytest.mark.parametrize("condition", ['W/"1.10"', '"nonsense"', '"999.1"', '"", "x"'])
def test_if_match_with_another_etag_is_412(admin: Client, path: str, condition: str) -> None:
    response = patch(admin, path, {"name": "x"}, **{"If-Match": condition})

    assert_problem(response, 412, "precondition_failed")


def test_if_match_accepts_a_list_of_etags_and_a_star(admin: Client, path: str) -> None:
    etag = admin.get(path).headers["etag"]
    assert 200 == patch(admin, path, {"name": "A"}, **{"If-Match": f'"9.9", {etag}'}).status_code
    assert 200 == patch(admin, path, {"name": "B"}, **{"If-Match": "*"}).status_code


def test_the_sku_of_another_product_is_a_409(admin: Client, path: str) -> None:
    add_product(admin, sku="OTHER")

    assert_problem(patch(admin, path, {"sku": "OTHER"}), 409, "sku_taken")


@pytest.mark.parametrize("body", [{}, {"name": None}, {"stock": 5}, {"id": "x"}, [], "x", None, 1])
def test_an_invalid_patch_is_400(admin: Client, path: str, body: Any) -> None:
    assert_problem(patch(admin, path, body), 400, "malformed_request")


def test_a_customer_cannot_update_a_product(alice: Client, admin: Client, path: str) -> None:
    assert_problem(patch(alice, path, {"name": "Mine"}), 403, "forbidden")


def test_an_unknown_product_is_404(admin: Client) -> None:
    path = f"{PRODUCTS}/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"

    assert_problem(patch(admin, path, {"name": "x"}), 404, "not_found")


def test_a_new_list_of_images_replaces_the_list_and_changes_the_version(
    admin: Client, anonymous: Client, path: str
) -> None:
    front, back = ({"url": f"https://images.example.com/{x}.jpg", "alt": x} for x in ("a", "b"))
    patch(admin, path, {"images": [front, back]})
    etag = anonymous.get(path).headers["etag"]
    list_etag = anonymous.get(PRODUCTS).headers["etag"]

    changed = patch(admin, path, {"images": [back]})

    assert [back] == changed.json()["images"] == anonymous.get(path).json()["images"]
    assert 3 == changed.json()["version"]
    assert etag != changed.headers["etag"]
    assert list_etag != anonymous.get(PRODUCTS).headers["etag"]
    assert 3 == patch(admin, path, {"images": [back]}).json()["version"]
    assert [back] == patch(admin, path, {"name": "Renamed"}).json()["images"]
    assert [] == patch(admin, path, {"images": []}).json()["images"]


def test_images_cannot_be_null(admin: Client, path: str) -> None:
    assert_problem(patch(admin, path, {"images": None}), 400, "malformed_request")
