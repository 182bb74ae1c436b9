"""What an operation needs in the shop before its examples succeed."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

from domain.account_tokens import EMAIL_VERIFICATION, PASSWORD_RESET
from orderly.verification.client import ExampleClient, Preparation
from orderly.verification.requests import NotReachable, Request

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


@prepares("confirm_password_reset", "confirm_email_verification")
def add_the_token_of_a_mail(client: ExampleClient, request: Request) -> None:
    is_reset = request.operation_id == "confirm_password_reset"
    kind = PASSWORD_RESET if is_reset else EMAIL_VERIFICATION
    request.body["token"] = client.mail_token(kind, client.examples["credentials"]["email"])


@prepares("delete_user")
def confirm_with_the_password_of_the_administrator(client: ExampleClient, request: Request) -> None:
    request.body["current_password"] = client.admin_password


@prepares("create_order", "create_payment")
def add_idempotency_key(_client: ExampleClient, request: Request) -> None:
    request.headers["Idempotency-Key"] = str(uuid4())


@prepares("update_order_status", "update_order_status shipment")
def pay_the_order(client: ExampleClient, request: Request) -> None:
    client.update_order_status(request.path["order_id"], "PAID")


@prepares("update_order tracking_correction")
def ship_the_order(client: ExampleClient, request: Request) -> None:
    client.update_order_status(request.path["order_id"], "PAID", "SHIPPED")


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
    adjustment = client.request("adjust_stock", {"delta": 1, "reason": "FOUND"})
    adjustment.session, adjustment.path = request.session, request.path
    client.send_successfully(adjustment)


@prepares("list_archived_products")
def archive_a_product(client: ExampleClient, _request: Request) -> None:
    client.send_successfully(client.prepare("archive_product"))


@prepares("cancel_order cancellation_without_refund")
def cancel_as_an_administrator(client: ExampleClient, request: Request) -> None:
    request.session = client.sign_in_admin()


@prepares("record_manual_payment")
def pay_the_whole_order(client: ExampleClient, request: Request) -> None:
    add_idempotency_key(client, request)
    read = client.request("get_order")
    read.session, read.path = request.session, request.path
    request.body["amount"] = client.send_successfully(read).json()["total"]


@prepares("list_payments")
def add_payments(client: ExampleClient, request: Request) -> None:
    """Record a part payment for each call, so that there can be a second page."""
    part = client.request("record_manual_payment", {"amount": client.money(1), "method": "CASH"})
    part.session, part.path = client.sign_in_admin(), request.path
    for _ in range(2):
        client.send_successfully(part)


@prepares("create_refund", "list_refunds")
def let_the_payment_succeed(client: ExampleClient, request: Request) -> None:
    read = client.request("get_payment")
    read.session, read.path = client.sign_in_admin(), request.path
    client.record_manual_payment(client.send_successfully(read).json()["order_id"])
    if request.operation_id == "create_refund":
        add_idempotency_key(client, request)
        return
    part = client.request("create_refund", {"amount": client.money(1)})
    part.session, part.path = read.session, request.path
    for _ in range(2):
        client.send_successfully(part)


@prepares("list_payment_notifications")
def add_notifications(client: ExampleClient, _request: Request) -> None:
    client.add_payment_notifications()


@prepares("receive_payment_notification")
def sign_the_body(client: ExampleClient, request: Request) -> None:
    # As JavaScript writes it: Prism parses the body, and sends it on as `JSON.stringify` does.
    text = json.dumps(request.body, separators=(",", ":"), ensure_ascii=False)
    request.content = text.encode()
    request.headers.update(client.notification_headers(request.content))


@prepares("receive_payment_notification stripe_payment_succeeded")
def notify_of_a_payment_by_stripe(client: ExampleClient, request: Request) -> None:
    if not client.has_stripe:
        raise NotReachable("The deployment does not use Stripe: ORDERLY_STRIPE_SECRET_KEY.")
    request.path["provider"] = "stripe"


@prepares("settle_sandbox_payment")
def start_a_sandbox_payment(client: ExampleClient, request: Request) -> None:
    session = request.session or client.sign_in_ada()
    request.path["payment_id"] = client.create_payment(session, "sandbox")["id"]
