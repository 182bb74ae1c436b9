"""What Schemathesis cannot know by itself: which values are free, in stock or current right now.

The contract's own examples are always helped to succeed. Of other valid requests half stay as they
were generated, so that refusals are met as well.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import schemathesis

# The users of a deployment are others than those of a test; Schemathesis is told by --auth-wfc.
_FILE = os.environ.get("ORDERLY_CONTRACT_CREDENTIALS", Path(__file__).with_name("credentials.json"))
_CREDENTIALS = json.loads(Path(_FILE).read_text())
_OURS = {one["loginEndpointAuth"]["payloadUserPwd"]["username"] for one in _CREDENTIALS["auth"]}
_PASSWORDS = {
    one["name"]: one["loginEndpointAuth"]["payloadUserPwd"]["password"]
    for one in _CREDENTIALS["auth"]
}
_ISSUED_TOKEN = re.compile(r"(?:[\w-]+\.){2}[\w-]+", re.ASCII)

# Of its own: Hypothesis sets the shared one back before each example.
_random = random.Random(20261123)
_SHARE_HELPED = 0.5
_client = httpx2.Client()


@schemathesis.deserializer("text/csv")
def read_csv(_context: object, response: schemathesis.Response) -> str:
    """Read a file by the rules that its schema describes in words."""
    text = response.content.decode()
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        # What Schemathesis keeps of a long answer ends anywhere, and this is what it puts up with.
        raise ValueError(str(error)) from error
    if not text.endswith('"\r\n') or any(len(row) != len(header) for row in rows):
        raise ValueError("not the rows of a CSV file that is whole")
    return text


@schemathesis.serializer("text/csv")
def write_csv(_context: object, body: Any) -> bytes:
    """Send a generated file as it is; what should be a file and is not, as its text."""
    body = getattr(body, "data", body)
    return body if isinstance(body, bytes) else str(body).encode(errors="replace")


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Have a link's body sent as the link says it, instead of merged into a generated one."""
    for link in _links(raw_schema):
        if "requestBody" in link:
            link["x-schemathesis"] = {"merge_body": False}


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]
) -> None:
    """Let the administrator sign in by bearer token, and most of the valid requests succeed."""
    for name, value in case.path_parameters.items():
        if value is None or value == "None":
            # A link from a member that was null leads nowhere: to an id that nothing has.
            case.path_parameters[name] = str(uuid4())
    # Over HTTPS its name begins with __Host-.
    token = str(next((v for n, v in case.cookies.items() if n.endswith("orderly_access")), ""))
    if not _ISSUED_TOKEN.fullmatch(token):
        token = ""
    if token and case.auth_identity == "admin":
        # The cookie stays, as Schemathesis takes it for required, but speaks less loud.
        case.headers["Authorization"] = f"Bearer {token}"
    operation_id = case.operation.definition.raw["operationId"]
    if operation_id == "update_user":
        _spare_ourselves(case, token)
    help_out = _HELP.get(operation_id)
    if help_out and case.meta and case.meta.generation.mode.is_positive:
        share = 1 if case.meta.phase.name.value == "examples" else _SHARE_HELPED
        if _random.random() < share:
            help_out(case, token)


def _be_somebody_new(case: schemathesis.Case, _token: str) -> None:
    case.body["email"] = f"{uuid4()}@example.com"
    case.body["password"] = str(uuid4())


def _be_alice(case: schemathesis.Case, _token: str) -> None:
    alice = _CREDENTIALS["auth"][0]["loginEndpointAuth"]["payloadUserPwd"]
    case.body = {"email": alice["username"], "password": alice["password"]}


def _have_signed_in_elsewhere(case: schemathesis.Case, _token: str) -> None:
    for account in _CREDENTIALS["auth"]:
        if account["name"] == case.auth_identity:
            theirs = account["loginEndpointAuth"]["payloadUserPwd"]
            body = {"email": theirs["username"], "password": theirs["password"]}
            # By no client that keeps cookies.
            answer = httpx2.post(f"{case.operation.base_url}/auth/login", json=body)
            if answer.status_code == httpx2.codes.OK:
                case.path_parameters["session_id"] = answer.json()["session"]["id"]


def _keep_the_password(case: schemathesis.Case, _token: str) -> None:
    # The run signs in with it again and again.
    password = _PASSWORDS.get(str(case.auth_identity), "")
    case.body = {"current_password": password, "new_password": password}


def _give_fresh_sku(case: schemathesis.Case, _token: str) -> None:
    case.body["sku"] = str(uuid4()).upper()


def _import_a_product(case: schemathesis.Case, _token: str) -> None:
    row = f"{str(uuid4()).upper()},Imported,{_random.randint(0, 99)},{_random.randint(0, 9)}"
    case.body = f"sku,name,price,stock\r\n{row}\r\n"


def _ask_for_what_is_in_stock(case: schemathesis.Case, _token: str) -> None:
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())
    lines = case.body["items"]
    query = {"in_stock": "true", "sort": "-created_at", "limit": "100"}
    found = _client.get(f"{case.operation.base_url}/products", params=query).json()["items"]
    products = [product for product in found if product["stock"] >= len(lines)]
    for line in lines if products else []:
        product = _random.choice(products)
        line["product_id"] = product["id"]
        line["quantity"] = min(line["quantity"], product["stock"] // len(lines))


def _make_condition_true(case: schemathesis.Case, token: str) -> None:
    if "If-Match" not in case.headers or not token:
        return
    path = case.formatted_path
    for step in ("/status", "/cancel", "/restore"):
        path = path.removesuffix(step)
    answer = _read(f"{case.operation.base_url}{path}", token)
    if "ETag" in answer.headers:
        case.headers["If-Match"] = answer.headers["ETag"]


def _expect_what_there_is(case: schemathesis.Case, token: str) -> None:
    if not token:
        return
    path = case.formatted_path.removesuffix("/stock-adjustments")
    answer = _read(f"{case.operation.base_url}{path}", token)
    if answer.status_code == httpx2.codes.OK and "expected" in case.body:
        case.body["expected"] = answer.json()["stock"]


def _spare_ourselves(case: schemathesis.Case, token: str) -> None:
    """Let nobody whom the run signs in as be demoted or disabled: all that follows would be 401."""
    if not token:
        return
    answer = _read(f"{case.operation.base_url}{case.formatted_path}", token)
    if answer.status_code == httpx2.codes.OK and answer.json()["email"] in _OURS:
        case.body = {"active": True}


def _read(url: str, token: str) -> httpx2.Response:
    return _client.get(url, headers={"Authorization": f"Bearer {token}"})


_HELP: dict[str, Callable[[schemathesis.Case, str], None]] = {
    "register": _be_somebody_new,
    "login": _be_alice,
    "issue_token": _be_alice,
    "change_password": _keep_the_password,
    "revoke_session": _have_signed_in_elsewhere,
    "create_product": _give_fresh_sku,
    "import_products": _import_a_product,
    "create_order": _ask_for_what_is_in_stock,
    "update_product": _make_condition_true,
    "archive_product": _make_condition_true,
    "restore_product": _make_condition_true,
    "adjust_stock": _expect_what_there_is,
    "update_order_status": _make_condition_true,
    "cancel_order": _make_condition_true,
}


def _links(raw_schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in raw_schema["paths"].values():
        for operation in item.values():
            if "responses" in operation:
                for response in operation["responses"].values():
                    yield from response.get("links", {}).values()
