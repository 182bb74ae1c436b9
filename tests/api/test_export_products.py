"""GET /products/export."""

from __future__ import annotations

import csv
import io

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

EXPORT = f"{PRODUCTS}/export"
FORMULAS = ("=1+1", "'=1+1", "''@x", "+49 30", "-1", "'quoted", "\uff1dSUM", "Mug")


def test_the_export_has_one_row_for_each_product_that_is_not_archived(admin: Client) -> None:
    add_product(admin, "MUG", 1990, 3, name='Mug "blue"', description="Round,\nlight")
    admin.delete(f"{PRODUCTS}/{add_product(admin, 'GONE')['id']}")

    response = admin.get(EXPORT)

    assert 200 == response.status_code
    assert "text/csv; charset=utf-8" == response.headers["content-type"]
    assert 'attachment; filename="products.csv"' == response.headers["content-disposition"]
    assert [
        ["sku", "name", "description", "price", "currency", "stock"],
        ["MUG", 'Mug "blue"', "Round,\nlight", "19.90", "EUR", "3"],
    ] == list(csv.reader(io.StringIO(response.text, newline="")))


def test_formulas_are_quoted_and_importing_the_export_changes_nothing(admin: Client) -> None:
    for number, text in enumerate(FORMULAS):
        add_product(admin, f"SKU-{number}", name=text, description=f"\t{text}")
    before = admin.get(PRODUCTS).json()

    exported = admin.get(EXPORT)
    response = admin.post(
        f"{PRODUCTS}/import", content=exported.content, headers={"Content-Type": "text/csv"}
    )

    rows = list(csv.DictReader(io.StringIO(exported.text, newline="")))
    assert not [row for row in rows if row["name"].startswith(("=", "+", "-", "@", "\uff1d"))]
    assert len(FORMULAS) == response.json()["unchanged"], response.text
    assert before == admin.get(PRODUCTS).json()


def test_only_administrators_can_export_products(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(EXPORT), 403, "forbidden")
    assert_problem(anonymous.get(EXPORT), 401, "unauthenticated")
