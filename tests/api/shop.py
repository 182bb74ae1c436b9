"""Short ways to say what happens in the shop."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Client

PRODUCTS = "/api/v1/products"
ORDERS = "/api/v1/orders"

LONDON = {
    "recipient": "Ada Lovelace",
    "street": "12 St James's Square",
    "postal_code": "SW1Y 4JH",
    "city": "London",
    "country": "GB",
}


def add_product(
    admin: Client, sku: str = "MUG-BLUE", price: int = 1990, stock: int = 10, **more: Any
) -> dict[str, Any]:
    """Return a new product."""
    body = {
        "sku": sku,
        "name": more.pop("name", f"The {sku}"),
        "price": {"amount": price, "currency": "EUR"},
        "stock": stock,
        **more,
    }
    answer = admin.post(PRODUCTS, json=body)
    assert 201 == answer.status_code, answer.text
    product: dict[str, Any] = answer.json()
    return product


def stock_of(client: Client, product: dict[str, Any]) -> int:
    """Return how many there are."""
    stock: int = client.get(f"{PRODUCTS}/{product['id']}").json()["stock"]
    return stock


def place(
    client: Client,
    *lines: tuple[dict[str, Any], int],
    shipping_address: Any = None,
    note: Any = None,
    **headers: str,
) -> Any:
    """Answer the placing of an order."""
    items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
    more = {"shipping_address": shipping_address, "note": note}
    body = {"items": items, **{name: value for name, value in more.items() if value is not None}}
    return client.post(ORDERS, json=body, headers=headers)


def cancel(client: Client, order: dict[str, Any], **body: str) -> Any:
    """Answer the cancelling of an order."""
    return client.post(f"{ORDERS}/{order['id']}/cancel", **({"json": body} if body else {}))


def move(admin: Client, order: dict[str, Any], status: str, **more: Any) -> Any:
    """Answer the change of an order's status."""
    return admin.put(f"{ORDERS}/{order['id']}/status", json={"status": status, **more})
