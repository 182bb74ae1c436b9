"""The handlers that all stacks share, so that only the request pipelines differ."""

from __future__ import annotations

from typing import Any

import jwt

KEY = b"a-key-for-the-benchmark-of-32-bytes!"
CLAIMS = {"iss": "orderly", "aud": "orderly", "exp": 4102444800, "iat": 1700000000}
PRODUCT_ID = "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"
PRODUCT: dict[str, Any] = {
    "id": PRODUCT_ID,
    "sku": "MUG-BLUE-01",
    "name": "Blue mug",
    "description": "Stoneware, 300 ml, safe for the dishwasher.",
    "price": {"amount": 1990, "currency": "EUR"},
    "stock": 12,
}


def principal(token: str) -> dict[str, Any]:
    """Verify an access token in the way that the documentation of PyJWT shows."""
    return jwt.decode(token, KEY, algorithms=["HS256"], audience="orderly", issuer="orderly")


async def get_product(product_id: Any) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return one product."""
    return {**PRODUCT, "id": str(product_id)}, 200, {}


async def create_order(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return the order for these lines."""
    items = [{**line, "unit_price": PRODUCT["price"]} for line in body["items"]]
    total = sum(line["quantity"] for line in body["items"]) * PRODUCT["price"]["amount"]
    order = {"id": PRODUCT_ID, "items": items, "total": {"amount": total, "currency": "EUR"}}
    return order, 201, {}
