"""GET /products/{product_id}."""

from __future__ import annotations

import pytest

from tests.api.conftest import Client
from tests.api.problems import problem
from tests.api.shop import PRODUCTS, add_product, place


def test_whoever_has_it_already_gets_304(admin: Client, anyone: Client) -> None:
    path = f"{PRODUCTS}/{add_product(admin)['id']}"
    etag = anyone.get(path).headers["etag"]

    for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = anyone.get(path, headers={"If-None-Match": condition})
        assert (304, b"", etag) == (answer.status_code, answer.content, answer.headers["etag"])
    assert 200 == anyone.get(path, headers={"If-None-Match": '"other"'}).status_code


def test_a_sale_changes_the_etag(admin: Client, alice: Client) -> None:
    product = add_product(admin)
    etag = alice.get(f"{PRODUCTS}/{product['id']}").headers["etag"]

    place(alice, (product, 1))

    answer = alice.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": etag})
    assert (200, 9) == (answer.status_code, answer.json()["stock"])


def test_an_unknown_one_is_404(anyone: Client) -> None:
    problem(anyone.get(f"{PRODUCTS}/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"), 404, "not_found")


@pytest.mark.parametrize("product_id", ["1", "x" * 36, "%00", "%FF", "..%2F..", "{id}"])
def test_an_id_that_is_none_is_400_or_404(anyone: Client, product_id: str) -> None:
    assert anyone.get(f"{PRODUCTS}/{product_id}").status_code in {400, 404}
