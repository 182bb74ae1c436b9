"""What an operation needs in the shop before its examples succeed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from tests.support.contract_client import ExampleClient, Preparation
from tests.support.contract_requests import Request, json_request

# By the operationId, or by the operationId and the name of an example.
PREPARATIONS: dict[str, Preparation] = {}


def prepares(*keys: str) -> Callable[[Preparation], Preparation]:
    """Run a function before the requests of these operations or examples."""

    def register(preparation: Preparation) -> Preparation:
        PREPARATIONS.update(dict.fromkeys(keys, preparation))
        return preparation

    return register


@prepares("login", "issue_token")
def register_ada(client: ExampleClient, _request: Request) -> None:
    client.sign_in_ada()


@prepares("create_order")
def add_idempotency_key(_client: ExampleClient, request: Request) -> None:
    request.headers["Idempotency-Key"] = str(uuid4())


@prepares("update_order_status", "update_order_status shipment")
def pay_the_order(client: ExampleClient, request: Request) -> None:
    client.update_order_status(request.path["order_id"], "PAID")


@prepares("update_order_status returned")
def deliver_the_order(client: ExampleClient, request: Request) -> None:
    client.update_order_status(request.path["order_id"], "SHIPPED", "DELIVERED")


@prepares("list_users", "list_orders", "list_order_events", "list_products", "list_sessions")
def add_an_item_to_the_list(client: ExampleClient, request: Request) -> None:
    """Create a paid order, and with it a product, a session and an event."""
    session = request.session if request.operation_id == "list_orders" else None
    order = client.create_order(session or client.sign_in_ada())
    client.update_order_status(request.path.get("order_id", order["id"]), "PAID")


@prepares("adjust_stock stocktake")
def set_the_expected_stock(client: ExampleClient, request: Request) -> None:
    request.path["product_id"] = client.create_product(stock=request.body["expected"])["id"]


@prepares("list_stock_movements")
def add_a_stock_movement(client: ExampleClient, request: Request) -> None:
    adjustment = json_request("adjust_stock", {"delta": 1, "reason": "FOUND"})
    adjustment.session, adjustment.path = request.session, request.path
    client.send_successfully(adjustment)


@prepares("list_archived_products")
def archive_a_product(client: ExampleClient, _request: Request) -> None:
    client.send_successfully(client.prepare("archive_product"))
