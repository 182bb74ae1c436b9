"""Calls the API through the generated client.

Signs in, finds a product, orders it, pays in the sandbox, ships the order, and handles an error.

Run it against `orderly serve --demo`:

    python shop.py http://localhost:8000
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import TypeVar

from orderly_client import AuthenticatedClient, Client
from orderly_client.api.auth import issue_token, logout
from orderly_client.api.orders import (
    create_order,
    get_order,
    list_order_events,
    update_order_status,
)
from orderly_client.api.payments import create_payment, get_payment
from orderly_client.api.products import list_products
from orderly_client.api.sandbox import settle_sandbox_payment
from orderly_client.api.users import get_me
from orderly_client.models.credentials import Credentials
from orderly_client.models.order import Order
from orderly_client.models.order_event_page import OrderEventPage
from orderly_client.models.order_request import OrderRequest
from orderly_client.models.order_request_item import OrderRequestItem
from orderly_client.models.order_status_change import OrderStatusChange
from orderly_client.models.payment import Payment
from orderly_client.models.payment_request import PaymentRequest
from orderly_client.models.problem import Problem
from orderly_client.models.product import Product
from orderly_client.models.product_page import ProductPage
from orderly_client.models.sandbox_settlement import SandboxSettlement
from orderly_client.models.tokens import Tokens
from orderly_client.models.user import User

Data = TypeVar("Data")


class ProblemError(Exception):
    """The error response of the API. Branch on `problem.code`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem


def data_of(result: object, expected: type[Data]) -> Data:
    """Return the data of a result, or raise its error, which is a Problem for every status."""
    if isinstance(result, expected):
        return result
    if isinstance(result, Problem):
        raise ProblemError(result)
    raise TypeError(f"neither {expected.__name__} nor Problem: {result!r}")


def signed_in(url: str, email: str, password: str) -> AuthenticatedClient:
    """Return a client that sends a bearer token with each request."""
    base_url = f"{url}/api/v1"
    credentials = Credentials(email=email, password=password)
    tokens = data_of(issue_token.sync(client=Client(base_url=base_url), body=credentials), Tokens)
    return AuthenticatedClient(base_url=base_url, token=tokens.access_token)


def find_product(shop: AuthenticatedClient, words: str) -> Product:
    """Return the cheapest product in stock that matches the words."""
    result = list_products.sync(client=shop, q=words, in_stock=True, sort="price", limit=5)
    return data_of(result, ProductPage).items[0]


def place_order(shop: AuthenticatedClient, product: Product, quantity: int, key: str) -> Order:
    """Place an order. Repeating the call with the same key returns the same order."""
    order = OrderRequest(items=[OrderRequestItem(product_id=product.id, quantity=quantity)])
    return data_of(create_order.sync(client=shop, body=order, idempotency_key=key), Order)


def pay(shop: AuthenticatedClient, order: Order) -> Payment:
    """Pay an order in the sandbox. Elsewhere the customer pays, on the page `redirect_url`."""
    result = create_payment.sync(
        order.id,
        client=shop,
        body=PaymentRequest(provider="sandbox"),
        idempotency_key=str(uuid.uuid4()),
    )
    started = data_of(result, Payment)
    outcome = SandboxSettlement(outcome="SUCCEED")
    settled = settle_sandbox_payment.sync(started.id, client=shop, body=outcome)
    payment = data_of(settled, Payment)
    # The result arrives at the shop by a notification of the provider, usually within a second.
    for _ in range(120):
        if payment.status != "PENDING":
            break
        time.sleep(0.25)
        payment = data_of(get_payment.sync(payment.id, client=shop), Payment)
    return payment


def main(url: str) -> None:
    """Run the scenario and print each step."""
    customer = signed_in(url, "client@orderly.example", "marmalade lantern 64")
    me = data_of(get_me.sync(client=customer), User)
    print(f"signed in: {me.email} {me.role}")

    product = find_product(customer, "hand grinder")
    print(f"found: {product.sku} {product.price.amount} {product.price.currency}")

    key = str(uuid.uuid4())
    order = place_order(customer, product, 2, key)
    repeated = place_order(customer, product, 2, key)
    print(f"ordered: {order.status} {order.total.amount}, once: {order.id == repeated.id}")

    payment = pay(customer, order)
    paid = data_of(get_order.sync(order.id, client=customer), Order)
    print(f"paid: {payment.status} {payment.amount.amount}, the order is {paid.status}")

    administrator = signed_in(url, "admin@orderly.example", "turquoise kettle 27")
    change = OrderStatusChange(status="SHIPPED")
    shipped = data_of(update_order_status.sync(order.id, client=administrator, body=change), Order)
    print(f"shipped: {shipped.status}, next {' or '.join(shipped.allowed_transitions)}")

    timeline = data_of(list_order_events.sync(order.id, client=customer), OrderEventPage)
    print(f"timeline: {', '.join(event.type_ for event in timeline.items)}")

    try:
        place_order(customer, product, 900, str(uuid.uuid4()))
    except ProblemError as error:
        if error.problem.code != "insufficient_stock":
            raise
        for line in error.problem.lines or []:
            print(
                f"refused: {error.problem.status}, "
                f"wanted {line.requested}, there are {line.available}"
            )

    logout.sync_detailed(client=customer)
    print(f"signed out: {get_me.sync_detailed(client=customer).status_code.value}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000")
