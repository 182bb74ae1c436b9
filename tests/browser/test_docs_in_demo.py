"""Press Execute on each operation of the documentation page, in a new demo, changing nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from services import demo_data
from tests.support.accounts import DEMO_ADMIN
from tests.support.contract_requests import DOCUMENT, EXAMPLES
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

METHODS = ("get", "post", "put", "patch", "delete")
# What a request answers after the operations above it on the page have changed the shop. All other
# requests succeed.
REFUSED = {
    # `change_password` has changed the password, and revoked the other sessions.
    "change_email": "409",
    "revoke_session": "404",
    # Ada has orders in progress.
    "delete_me": "409",
    "delete_user": "409",
    # Only the provider can sign a notification.
    "receive_payment_notification": "400",
    # Only the mail has the token.
    "confirm_password_reset": "409",
    "confirm_email_verification": "409",
    # `cancel_order` has cancelled the order, and `cancel_payment` the payment.
    "create_payment": "409",
    "record_manual_payment": "409",
    "settle_sandbox_payment": "409",
}
ADA, ADMIN = EXAMPLES["credentials"], DEMO_ADMIN


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a demo."""
    directory = tmp_path_factory.mktemp("demo") / "data"
    with run_server(
        directory, "--demo", ORDERLY_VALIDATE_RESPONSES="true", **NO_RATE_LIMIT_VARIABLES
    ) as server:
        yield server.url


def operations() -> Iterator[dict[str, Any]]:
    """Return the operations by tag, as the page lists them."""
    all_operations = [
        operation
        for item in DOCUMENT["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    ]
    for tag in DOCUMENT["tags"]:
        yield from (one for one in all_operations if one["tags"] == [tag["name"]])


class Visitor:
    """Signs in to the page as Ada or as the administrator."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cookies: dict[str, Any] = {}
        self.ada = ADA

    def be(self, credentials: dict[str, str]) -> None:
        """Sign in, unless an earlier session is still valid."""
        email = credentials["email"]
        self._page.context.clear_cookies()
        if email in self._cookies:
            self._page.context.add_cookies(self._cookies[email])
            if self._page.request.get("/api/v1/users/me").ok:
                return
        response = self._page.request.post("/api/v1/auth/login", data=credentials)
        assert response.ok, response.text()
        self._cookies[email] = self._page.context.cookies()

    def execute(self, operation: dict[str, Any]) -> str:
        """Press Execute; return the status that the page shows."""
        operation_id = operation["operationId"]
        is_for_admins = operation.get("x-required-role") == "ADMIN"
        self.be(ADMIN if is_for_admins else self.ada)
        block = self._page.locator(f".opblock[id$='-{operation_id}']")
        block.locator(".opblock-summary-control").click()
        block.locator("button.execute").click()
        shown = block.locator(".live-responses-table .response .response-col_status")
        shown.wait_for()
        status = shown.inner_text().split()[0]
        block.locator(".opblock-summary-control").click()
        if operation_id == "change_password":
            self.ada = {**ADA, "password": EXAMPLES["password_change"]["new_password"]}
        return status


def test_execute_answers_as_documented_for_each_operation(page: Page) -> None:
    page.goto("/docs")
    page.locator(".opblock").first.wait_for()
    visitor = Visitor(page)

    table = {one["operationId"]: (one, visitor.execute(one)) for one in operations()}

    lines = [f"{name:<32} {status}" for name, (_, status) in table.items()]
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        (Path(folder) / "docs-in-demo.txt").write_text("\n".join(lines))
    unexpected = [
        line
        for line, (name, (operation, status)) in zip(lines, table.items(), strict=True)
        if status not in operation["responses"] or not status.startswith(REFUSED.get(name, "2"))
    ]
    assert [] == unexpected
    assert len(table) == page.locator(".opblock").count()


def test_the_demo_has_the_objects_of_the_path_parameters() -> None:
    known = {
        str(one)
        for one in (
            demo_data.ADA.id,
            demo_data.GRINDER.id,
            demo_data.PAID_ORDER.id,
            demo_data.PAID_ORDER.payment,
            demo_data.UNPAID_ORDER.id,
            demo_data.ORDER_BEING_PAID.payment,
            demo_data.ADAS_PHONE,
        )
    }
    names = {name for name in EXAMPLES if name.endswith("_id")}

    assert {EXAMPLES[name] for name in names} <= known
