"""Uses the client that openapi-python-client generates."""

from __future__ import annotations

import io
import uuid
from typing import TypeVar

import steps
from orderly_client import AuthenticatedClient, Client
from orderly_client.api.auth import issue_token, register
from orderly_client.api.orders import create_order
from orderly_client.api.products import export_products, import_products, list_products
from orderly_client.models.credentials import Credentials
from orderly_client.models.order import Order
from orderly_client.models.order_request import OrderRequest
from orderly_client.models.order_request_item import OrderRequestItem
from orderly_client.models.problem import Problem
from orderly_client.models.product import Product
from orderly_client.models.product_import import ProductImport
from orderly_client.models.product_page import ProductPage
from orderly_client.models.tokens import Tokens
from orderly_client.models.user import User
from orderly_client.models.user_registration import UserRegistration
from orderly_client.types import File

Data = TypeVar("Data")
ANONYMOUS = Client(base_url=steps.URL)


def data_of(result: object, expected: type[Data]) -> Data:
    """Return the data of a response, or raise its error."""
    if isinstance(result, expected):
        return result
    raise TypeError(repr(result))


def sign_in(email: str, password: str) -> AuthenticatedClient:
    """Return a client that sends a bearer token."""
    credentials = Credentials(email=email, password=password)
    tokens = data_of(issue_token.sync(client=ANONYMOUS, body=credentials), Tokens)
    steps.signed_in(tokens.token_type)
    return AuthenticatedClient(base_url=steps.URL, token=tokens.access_token)


def order(shop: AuthenticatedClient, product: Product, quantity: int) -> object:
    """Place an order; return the order or the problem."""
    item = OrderRequestItem(product_id=product.id, quantity=quantity)
    return create_order.sync(
        client=shop, body=OrderRequest(items=[item]), idempotency_key=str(uuid.uuid4())
    )


def main() -> None:
    """Run all steps."""
    new_user = UserRegistration(email=steps.EMAIL, name=steps.NAME, password=steps.PASSWORD)
    user = data_of(register.sync(client=ANONYMOUS, body=new_user), User)
    steps.registered(user.email, user.role)

    customer = sign_in(steps.EMAIL, steps.PASSWORD)
    found = list_products.sync(client=customer, q="hand grinder", in_stock=True, sort="price")
    product = data_of(found, ProductPage).items[0]
    steps.found(product.sku, product.price.amount, product.price.currency)

    placed = data_of(order(customer, product, 1), Order)
    steps.ordered(placed.status, placed.total.amount)
    problem = data_of(order(customer, product, 900), Problem)
    if problem.code == "insufficient_stock":
        for line in problem.lines or []:
            steps.refused(problem.status, problem.code, line.requested or 0, line.available or 0)

    admin = sign_in(steps.ADMIN_EMAIL, steps.ADMIN_PASSWORD)
    file = File(payload=io.BytesIO(steps.CSV.encode()))
    report = data_of(import_products.sync(client=admin, body=file), ProductImport)
    steps.imported(report.created)
    steps.exported(data_of(export_products.sync(client=admin), str))


if __name__ == "__main__":
    main()
