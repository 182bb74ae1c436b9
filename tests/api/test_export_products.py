"""GET /products/export."""

from __future__ import annotations

import csv
import io

from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

EXPORT = f"{PRODUCTS}/export"
EVIL = ("=1+1", "'=1+1", "''@x", "+49 30", "-1", "'quoted", "\uff1dSUM", "Mug")


def test_every_product_on_sale_is_a_row(admin: Client) -> None:
    add_product(admin, "MUG", 1990, 3, name='Mug "blue"', description="Round,\nlight")
    admin.delete(f"{PRODUCTS}/{add_product(admin, 'GONE')['id']}")

    answer = admin.get(EXPORT)

    assert 200 == answer.status_code
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert 'attachment; filename="products.csv"' == answer.headers["content-disposition"]
    assert [
        ["sku", "name", "description", "price", "currency", "stock"],
        ["MUG", 'Mug "blue"', "Round,\nlight", "19.90", "EUR", "3"],
    ] == list(csv.reader(io.StringIO(answer.text, newline="")))


def test_no_cell_is_a_formula_and_importing_it_back_changes_nothing(admin: Client) -> None:
    for number, text in enumerate(EVIL):
        add_product(admin, f"SKU-{number}", name=text, description=f"\t{text}")
    before = admin.get(PRODUCTS).json()

    exported = admin.get(EXPORT)
    answer = admin.post(
        f"{PRODUCTS}/import", content=exported.content, headers={"Content-Type": "text/csv"}
    )

    rows = list(csv.DictReader(io.StringIO(exported.text, newline="")))
    assert not [row for row in rows if row["name"].startswith(("=", "+", "-", "@", "\uff1d"))]
    assert len(EVIL) == answer.json()["unchanged"], answer.text
    assert before == admin.get(PRODUCTS).json()


def test_it_is_for_administrators(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(EXPORT), 403, "forbidden")
    assert_problem(anonymous.get(EXPORT), 401, "unauthenticated")
