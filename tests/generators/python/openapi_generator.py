"""Uses the client that openapi-generator generates for Python."""

from __future__ import annotations

import uuid

import steps
from orderly_client import (
    ApiClient,
    ApiException,
    AuthApi,
    Configuration,
    Credentials,
    InsufficientStockProblem,
    OrderRequest,
    OrderRequestItem,
    OrdersApi,
    ProductsApi,
    TokenRequest,
    UserRegistration,
)

ANONYMOUS = AuthApi(ApiClient(Configuration(host=steps.URL)))


def sign_in(email: str, password: str) -> ApiClient:
    """Return a client that sends a bearer token."""
    credentials = TokenRequest(Credentials(email=email, password=password))
    tokens = ANONYMOUS.issue_token(credentials)
    steps.signed_in(tokens.token_type)
    return ApiClient(Configuration(host=steps.URL, access_token=tokens.access_token))


def main() -> None:
    """Run all steps."""
    user = ANONYMOUS.register(
        UserRegistration(email=steps.EMAIL, name=steps.NAME, password=steps.PASSWORD)
    )
    steps.registered(user.email, user.role.value)

    customer = sign_in(steps.EMAIL, steps.PASSWORD)
    page = ProductsApi(customer).list_products(q="hand grinder", in_stock=True, sort="price")
    product = page.items[0]
    steps.found(product.sku, product.price.amount, product.price.currency)

    orders = OrdersApi(customer)
    item = OrderRequestItem(product_id=product.id, quantity=1)
    placed = orders.create_order(OrderRequest(items=[item]), idempotency_key=str(uuid.uuid4()))
    steps.ordered(placed.status.value, placed.total.amount)
    item.quantity = 900
    try:
        orders.create_order(OrderRequest(items=[item]))
    except ApiException as error:
        problem = InsufficientStockProblem.model_validate_json(error.body or "")
        for line in problem.lines:
            steps.refused(problem.status, problem.code, line.requested, line.available)

    admin = ProductsApi(sign_in(steps.ADMIN_EMAIL, steps.ADMIN_PASSWORD))
    steps.imported(admin.import_products(steps.CSV.encode()).created)
    steps.exported(admin.export_products())


if __name__ == "__main__":
    main()
