"""Hooks that give Schemathesis values that succeed in the current state of the shop.

The contract does not say which ids exist, which SKUs are unused, or what is in stock. The hooks put
such values into all requests from the contract's examples, and into half of the other valid
requests. The rest stays as generated, so that errors are tested too.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import schemathesis

from integrations.payments import sandbox_events
from orderly.contract import document

# Written by `generated.py`, which starts Schemathesis.
_DATA = json.loads(Path(os.environ["ORDERLY_VERIFICATION_HOOKS"]).read_text())
# Email address and password by the name of the account.
_ACCOUNTS: dict[str, tuple[str, str]] = _DATA["accounts"]
# The first account must be a customer, not an administrator.
_CUSTOMER = next(iter(_ACCOUNTS))
_SANDBOX_SECRET: str | None = _DATA["sandbox_secret"]
# By operationId: unused tokens of mails. Each is used once.
_MAIL_TOKENS: dict[str, list[str]] = _DATA["mail_tokens"]
_JWT = re.compile(r"(?:[\w-]+\.){2}[\w-]+", re.ASCII)

# A separate random generator: Hypothesis resets the seed of the global one before each example, so
# that each example would get the same numbers.
_random = random.Random(20261123)  # noqa: S311  # not a secret
# Whether to adjust the next valid request, by operation and phase: every other one, beginning with
# the first, so that each phase has a request that succeeds.
_turns: defaultdict[tuple[str, str], Iterator[bool]] = defaultdict(
    lambda: itertools.cycle((True, False))
)
_alternating = itertools.cycle((True, False))
_client = httpx2.Client()


@schemathesis.deserializer("text/csv")
def read_csv(_context: object, response: schemathesis.Response) -> str:
    """Check the format of a CSV file, which its schema only describes in words."""
    text: str = response.content.decode()
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        # Schemathesis also parses its copies of responses, and truncates long ones, perhaps in the
        # middle of a cell. It ignores a ValueError there; in a check, any error is a failure.
        raise ValueError(str(error)) from error
    if not text.endswith('"\r\n') or any(len(row) != len(header) for row in rows):
        raise ValueError("not a complete CSV file")
    return text


@schemathesis.serializer("text/csv")
def write_csv(_context: object, body: Any) -> bytes:
    """Send a generated file as it is, and a body of any other type as its text."""
    body = getattr(body, "data", body)
    return body if isinstance(body, bytes) else str(body).encode(errors="replace")


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Send the body that a link describes, instead of merging it into a generated body."""
    for link in document.links(raw_schema):
        if "requestBody" in link:
            link["x-schemathesis"] = {"merge_body": False}


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]
) -> None:
    """Send the administrator's token as a bearer token, and adjust valid requests."""
    for name, value in case.path_parameters.items():
        if value is None or value == "None":
            # A link took the id from a property that was null: use an unknown id.
            case.path_parameters[name] = str(uuid4())
    # Over HTTPS, the name of the cookie begins with __Host-.
    token = str(next((v for n, v in case.cookies.items() if n.endswith("orderly_access")), ""))
    if not _JWT.fullmatch(token):
        token = ""
    if token and case.auth_identity == "admin":
        # The server uses the bearer token and ignores the cookie. The cookie stays in the request
        # because Schemathesis requires it.
        case.headers["Authorization"] = f"Bearer {token}"
    operation_id = case.operation.definition.raw["operationId"]
    if operation_id == "update_user":
        _keep_test_accounts_active(case, token)
    if operation_id in {"delete_me", "delete_user"} and isinstance(case.body, dict):
        # The run must not delete its own accounts, whatever the generated password is.
        case.body["current_password"] = str(uuid4())
    adjustment = _ADJUSTMENTS.get(operation_id)
    if adjustment and case.meta and case.meta.generation.mode.is_positive:
        phase = case.meta.phase.name.value
        if phase == "examples" or next(_turns[operation_id, phase]):
            adjustment(case, token)


def _keep_test_accounts_active(case: schemathesis.Case, token: str) -> None:
    """Prevent the run from disabling or demoting its own accounts: all later requests would fail.

    Unlike the adjustments, this applies to invalid requests too.
    """
    if not token:
        return
    response = _get(f"{case.operation.base_url}{case.formatted_path}", token)
    emails = {email for email, _ in _ACCOUNTS.values()}
    if response.is_success and response.json()["email"] in emails:
        case.body = {"active": True}


def _use_new_account(case: schemathesis.Case, _token: str) -> None:
    case.body["email"] = f"{uuid4()}@example.com"
    case.body["password"] = str(uuid4())


def _use_credentials_of_a_customer(case: schemathesis.Case, _token: str) -> None:
    email, password = _ACCOUNTS[_CUSTOMER]
    case.body = {"email": email, "password": password}


def _use_another_session_of_the_user(case: schemathesis.Case, _token: str) -> None:
    if case.auth_identity not in _ACCOUNTS:
        return
    email, password = _ACCOUNTS[case.auth_identity]
    # Not with `_client`, which would keep the session's cookies.
    response = httpx2.post(
        f"{case.operation.base_url}/auth/login", json={"email": email, "password": password}
    )
    if response.is_success:
        case.path_parameters["session_id"] = response.json()["session"]["id"]


def _keep_the_password(case: schemathesis.Case, token: str) -> None:
    # The run signs in with this password again.
    _, password = _ACCOUNTS.get(str(case.auth_identity), ("", ""))
    case.body = {"current_password": password, "new_password": password}
    # With a bearer token, the response contains the new tokens; with cookies, it sets new cookies.
    if token and next(_alternating):
        case.headers["Authorization"] = f"Bearer {token}"


def _use_current_password(case: schemathesis.Case, _token: str) -> None:
    # The mail is not sent, so the email stays the same.
    _, case.body["current_password"] = _ACCOUNTS.get(str(case.auth_identity), ("", "unknown"))


def _use_token_of_a_mail(case: schemathesis.Case, _token: str) -> None:
    tokens = _MAIL_TOKENS.get(case.operation.definition.raw["operationId"])
    if not tokens:
        return
    case.body["token"] = tokens.pop()
    if "new_password" in case.body:
        case.body["new_password"] = str(uuid4())


def _delete_new_user(case: schemathesis.Case, _token: str) -> None:
    """Register a user, and delete the account as this user."""
    email, password = f"{uuid4()}@example.com", str(uuid4())
    _register(case, email, password)
    body = {"email": email, "password": password}
    tokens = httpx2.post(f"{case.operation.base_url}/auth/token", json=body).json()
    case.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    case.body = {"current_password": password}


def _delete_another_new_user(case: schemathesis.Case, _token: str) -> None:
    """Register a user, and delete the account as the administrator."""
    user = _register(case, f"{uuid4()}@example.com", str(uuid4()))
    case.path_parameters["user_id"] = user["id"]
    _use_current_password(case, "")


def _register(case: schemathesis.Case, email: str, password: str) -> dict[str, Any]:
    body = {"email": email, "name": "New", "password": password}
    user: dict[str, Any] = _client.post(
        f"{case.operation.base_url}/auth/register", json=body
    ).json()
    return user


def _use_unused_sku(case: schemathesis.Case, _token: str) -> None:
    _use_new_idempotency_key(case)
    case.body["sku"] = str(uuid4()).upper()


def _import_one_product(case: schemathesis.Case, _token: str) -> None:
    row = f"{str(uuid4()).upper()},Imported,{_random.randint(0, 99)},{_random.randint(0, 9)}"
    case.body = f"sku,name,price,stock\r\n{row}\r\n"


def _use_new_idempotency_key(case: schemathesis.Case) -> None:
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())


def _order_products_in_stock(case: schemathesis.Case, _token: str) -> None:
    _use_new_idempotency_key(case)
    lines = case.body["items"]
    query = {"in_stock": "true", "sort": "-created_at", "limit": "100"}
    found = _client.get(f"{case.operation.base_url}/products", params=query).json()["items"]
    # All lines may get the same product, so each takes its share of the stock.
    products = [product for product in found if product["stock"] >= len(lines)]
    for line in lines if products else []:
        product = _random.choice(products)
        line["product_id"] = product["id"]
        line["quantity"] = min(line["quantity"], product["stock"] // len(lines))


def _use_current_etag(case: schemathesis.Case, token: str) -> None:
    if "If-Match" not in case.headers or not token:
        return
    path = case.formatted_path
    for action in ("/status", "/cancel", "/restore"):
        path = path.removesuffix(action)
    response = _get(f"{case.operation.base_url}{path}", token)
    if "ETag" in response.headers:
        case.headers["If-Match"] = response.headers["ETag"]


def _expect_current_stock(case: schemathesis.Case, token: str) -> None:
    _use_new_idempotency_key(case)
    if not token:
        return
    path = case.formatted_path.removesuffix("/stock-adjustments")
    response = _get(f"{case.operation.base_url}{path}", token)
    if response.is_success and "expected" in case.body:
        case.body["expected"] = response.json()["stock"]


def _place_order(case: schemathesis.Case, token: str) -> str | None:
    """Place an order of one product in stock; return its id."""
    query = {"in_stock": "true", "sort": "-price", "limit": "1"}
    found = _client.get(f"{case.operation.base_url}/products", params=query).json()["items"]
    body = {"items": [{"product_id": product["id"], "quantity": 1} for product in found]}
    response = _post(case, "/orders", token, body)
    return str(response.json()["id"]) if response.is_success else None


def _cancel_new_order(case: schemathesis.Case, token: str) -> None:
    """Cancel a new order of the user; only administrators may keep its money."""
    if not token:
        return
    case.path_parameters["order_id"] = _place_order(case, token) or str(uuid4())
    if case.auth_identity != "admin" and isinstance(case.body, dict):
        case.body.pop("keep_payment", None)
    _use_current_etag(case, token)


def _use_allowed_status(case: schemathesis.Case, token: str) -> None:
    """Set a status that the order may get next; use a new order if there is none."""
    if not token:
        return
    path = f"{case.operation.base_url}/orders"
    order = _get(f"{path}/{case.path_parameters['order_id']}", token)
    if not (order.is_success and order.json()["allowed_transitions"]):
        case.path_parameters["order_id"] = _place_order(case, token) or str(uuid4())
        order = _get(f"{path}/{case.path_parameters['order_id']}", token)
    if order.is_success:
        case.body["status"] = _random.choice(order.json()["allowed_transitions"])
        if case.body["status"] != "SHIPPED":
            case.body.pop("tracking_number", None)
    _use_current_etag(case, token)


def _use_new_order(case: schemathesis.Case, token: str) -> None:
    """Pay a new order of the user, by a provider that this shop has."""
    _use_new_idempotency_key(case)
    if not token:
        return
    case.path_parameters["order_id"] = _place_order(case, token) or str(uuid4())
    case.body = {"provider": _random.choice(("manual", "sandbox"))}


def _pay_new_order_by_hand(case: schemathesis.Case, token: str) -> None:
    """Record a part of the price of a new order."""
    _use_new_idempotency_key(case)
    if not token:
        return
    case.path_parameters["order_id"] = _place_order(case, token) or str(uuid4())
    case.body["amount"]["amount"] = _random.randint(1, 10)


def _use_new_payment(case: schemathesis.Case, token: str) -> None:
    """Cancel a payment that waits for money."""
    payment = _start_payment(case, token) if token else None
    if payment:
        case.path_parameters["payment_id"] = payment["id"]


def _use_paid_payment(case: schemathesis.Case, token: str) -> None:
    """Refund a payment that has succeeded."""
    _use_new_idempotency_key(case)
    payment = _start_payment(case, token) if token else None
    if payment is None:
        return
    body = {"amount": payment["amount"], "method": "CASH"}
    _post(case, f"/orders/{payment['order_id']}/manual-payments", token, body)
    case.path_parameters["payment_id"] = payment["id"]
    if isinstance(case.body, dict) and "amount" in case.body:
        case.body["amount"]["amount"] = 1


def _start_payment(
    case: schemathesis.Case, token: str, *, provider: str = "manual"
) -> dict[str, Any] | None:
    order_id = _place_order(case, token)
    response = _post(case, f"/orders/{order_id}/payments", token, {"provider": provider})
    payment: dict[str, Any] | None = response.json() if response.is_success else None
    return payment


def _use_new_sandbox_payment(case: schemathesis.Case, token: str) -> None:
    """Choose the outcome of a new payment by the sandbox."""
    payment = _start_payment(case, token, provider="sandbox") if token else None
    if payment:
        case.path_parameters["payment_id"] = payment["id"]


def _sign_notification(case: schemathesis.Case, _token: str) -> None:
    """Sign the bytes that Schemathesis will send, like the sandbox of the shop.

    If it contradicted an existing payment, that would be logged as an error: name another payment.
    """
    if _SANDBOX_SECRET is not None:
        payment = case.body.get("payment")
        if isinstance(payment, dict) and "payment_id" in payment:
            payment["payment_id"] = str(uuid4())
        case.path_parameters["provider"] = "sandbox"
        content = json.dumps(case.body).encode()
        case.headers.update(sandbox_events.sign(bytes.fromhex(_SANDBOX_SECRET), content))


# By operationId: changes that make a valid request succeed.
_ADJUSTMENTS: dict[str, Callable[[schemathesis.Case, str], None]] = {
    "register": _use_new_account,
    "login": _use_credentials_of_a_customer,
    "issue_token": _use_credentials_of_a_customer,
    "change_password": _keep_the_password,
    "confirm_password_reset": _use_token_of_a_mail,
    "confirm_email_verification": _use_token_of_a_mail,
    "change_email": _use_current_password,
    "delete_me": _delete_new_user,
    "delete_user": _delete_another_new_user,
    "revoke_session": _use_another_session_of_the_user,
    "create_product": _use_unused_sku,
    "import_products": _import_one_product,
    "create_order": _order_products_in_stock,
    "update_product": _use_current_etag,
    "archive_product": _use_current_etag,
    "restore_product": _use_current_etag,
    "adjust_stock": _expect_current_stock,
    "update_order_status": _use_allowed_status,
    "cancel_order": _cancel_new_order,
    "create_payment": _use_new_order,
    "record_manual_payment": _pay_new_order_by_hand,
    "cancel_payment": _use_new_payment,
    "create_refund": _use_paid_payment,
    "list_refunds": _use_new_payment,
    "get_payment": _use_new_payment,
    "receive_payment_notification": _sign_notification,
    "settle_sandbox_payment": _use_new_sandbox_payment,
}


def _get(url: str, token: str) -> httpx2.Response:
    return _client.get(url, headers={"Authorization": f"Bearer {token}"})


def _post(case: schemathesis.Case, path: str, token: str, body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return _client.post(f"{case.operation.base_url}{path}", json=body, headers=headers)
