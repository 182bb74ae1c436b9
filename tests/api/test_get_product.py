"""GET /products/{product_id}."""

from __future__ import annotations

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product, place_order


def test_if_none_match_with_the_current_etag_is_304(admin: Client, anonymous: Client) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}"
    etag = anonymous.get(path).headers["etag"]

    for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        response = anonymous.get(path, headers={"If-None-Match": condition})
        assert (304, b"", etag) == (
            response.status_code,
            response.content,
            response.headers["etag"],
        )
    assert 200 == anonymous.get(path, headers={"If-None-Match": '"other"'}).status_code


def test_a_sale_changes_the_etag(admin: Client, alice: Client) -> None:
    product = add_product(admin)
    etag = alice.get(f"{PRODUCTS}/{product['id']}").headers["etag"]

    place_order(alice, (product, 1))

    response = alice.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": etag})
    assert (200, 9) == (response.status_code, response.json()["stock"])


def test_an_unknown_product_is_404(anonymous: Client) -> None:
    assert_problem(
        anonymous.get(f"{PRODUCTS}/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"), 404, "not_found"
    )


@pytest.mark.parametrize("product_id", ["1", "x" * 36, "%00", "%FF", "..%2F..", "{id}"])
def test_an_invalid_id_is_400_or_404(anonymous: Client, product_id: str) -> None:
    assert anonymous.get(f"{PRODUCTS}/{product_id}").status_code in {400, 404}
