"""HTTP requests that many tests send: create a product, place, cancel and update an order."""

from __future__ import annotations

from typing import Any

from httpx2 import Client

PRODUCTS = "/api/v1/products"
PAYMENTS = "/api/v1/payments"
ORDERS = "/api/v1/orders"

LONDON = {
    "recipient": "Ada Lovelace",
    "street": "12 St James's Square",
    "postal_code": "SW1Y 4JH",
    "city": "London",
    "country": "GB",
}


def add_product(
    admin: Client, sku: str = "MUG-BLUE", price: int = 1990, stock: int = 10, **fields: Any
) -> dict[str, Any]:
    """Create a product; return it."""
    body = {
        "sku": sku,
        "name": fields.pop("name", f"The {sku}"),
        "price": {"amount": price, "currency": "EUR"},
        "stock": stock,
        **fields,
    }
    response = admin.post(PRODUCTS, json=body)
    assert 201 == response.status_code, response.text
    product: dict[str, Any] = response.json()
    return product


def get_stock(client: Client, product: dict[str, Any]) -> int:
    """Return the product's current stock."""
    stock: int = client.get(f"{PRODUCTS}/{product['id']}").json()["stock"]
    return stock


def place_order(
    client: Client,
    *lines: tuple[dict[str, Any], int],
    shipping_address: Any = None,
    note: Any = None,
    **headers: str,
) -> Any:
    """Order products, each with a quantity; return the response."""
    items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
    optional = {"shipping_address": shipping_address, "note": note}
    given = {name: value for name, value in optional.items() if value is not None}
    return client.post(ORDERS, json={"items": items, **given}, headers=headers)


def cancel_order(client: Client, order: dict[str, Any], **body: str) -> Any:
    """Cancel an order; return the response."""
    return client.post(f"{ORDERS}/{order['id']}/cancel", **({"json": body} if body else {}))


def update_status(admin: Client, order: dict[str, Any], status: str, **fields: Any) -> Any:
    """Update an order's status; return the response."""
    return admin.put(f"{ORDERS}/{order['id']}/status", json={"status": status, **fields})


def update_order(admin: Client, order: dict[str, Any], **changes: str | None) -> Any:
    """Update an order; return the response."""
    return admin.patch(f"{ORDERS}/{order['id']}", json=changes)


def create_payment(client: Client, order: dict[str, Any], key: str | None = None) -> Any:
    """Create a payment by hand; return the response."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(
        f"{ORDERS}/{order['id']}/payments", json={"provider": "manual"}, headers=headers
    )


def record_payment(
    admin: Client, order: dict[str, Any], amount: int, key: str | None = None, **fields: Any
) -> Any:
    """Record money that has arrived, in cents; return the response."""
    return admin.post(
        f"{ORDERS}/{order['id']}/manual-payments",
        json={"amount": {"amount": amount, "currency": "EUR"}, "method": "CASH", **fields},
        headers={} if key is None else {"Idempotency-Key": key},
    )


def create_refund(
    admin: Client, payment: dict[str, Any], amount: int | None = None, key: str | None = None
) -> Any:
    """Refund cents of a payment, or all that is left of it; return the response."""
    body = {} if amount is None else {"amount": {"amount": amount, "currency": "EUR"}}
    return admin.post(
        f"{PAYMENTS}/{payment['id']}/refunds",
        json=body,
        headers={} if key is None else {"Idempotency-Key": key},
    )
