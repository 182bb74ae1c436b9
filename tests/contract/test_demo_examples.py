"""The first examples of each operation succeed, alone, in a new demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integrations.payments.sandbox import NAME, SandboxProvider
from integrations.payments.sandbox_store import FILE_NAME
from orderly.verification.client import Servers
from services import demo, process
from tests.support.accounts import DEMO_ADMIN
from tests.support.contract_requests import EXAMPLES, OPERATIONS, assert_documented, json_request

# The examples of these requests are refused as documented.
REFUSED = {
    # Ada has orders in progress.
    "delete_me": 409,
    "delete_user": 409,
    # Only the provider can sign a notification, and only a mail has a token.
    "receive_payment_notification": 400,
    "confirm_password_reset": 409,
    "confirm_email_verification": 409,
}


@pytest.fixture
def client(servers: Servers, data_dir: Path, shop: str) -> Iterator[httpx2.Client]:
    """Fill the shop with the demo; return an HTTP client."""
    del shop
    (data_dir / FILE_NAME).unlink(missing_ok=True)
    process.bind(process.configuration(), {NAME: SandboxProvider(data_dir)})
    demo.fill()
    with httpx2.Client(base_url=servers.url, timeout=60) as client:
        yield client


def example_of(holder: dict[str, Any]) -> Any:
    """Return the first example of a parameter or a body."""
    return next(iter(holder["examples"].values()))["value"]


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_the_first_examples_succeed_in_a_new_demo(client: httpx2.Client, operation_id: str) -> None:
    operation = OPERATIONS[operation_id]
    is_for_admins = operation.get("x-required-role") == "ADMIN"
    credentials = DEMO_ADMIN if is_for_admins else EXAMPLES["credentials"]
    assert client.post("/auth/login", json=credentials).status_code == 200

    path, headers = operation["path"], {}
    for parameter in operation["parameters"]:
        if parameter.get("required"):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(example_of(parameter)))
            else:
                headers[parameter["name"]] = example_of(parameter)
    arguments: dict[str, Any] = {"headers": headers}
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        headers["Content-Type"] = media_type
        body = example_of(content)
        arguments |= {"content": body} if isinstance(body, str) else {"json": body}
        break
    response = client.request(operation["method"], path, **arguments)

    assert_documented(json_request(operation_id), response)
    if operation_id in REFUSED:
        assert REFUSED[operation_id] == response.status_code
    else:
        assert response.is_success, response.text
