"""Swagger UI as an API consumer uses it."""

from __future__ import annotations

import json

from playwright.sync_api import Locator, Page

from tests.api.conftest import PASSWORD, Client
from tests.api.shop import add_product, stock_of


def operation(page: Page, operation_id: str) -> Locator:
    """Return an operation's block, opened."""
    block = page.locator(f".opblock[id$='-{operation_id}']")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
    return block


def execute(block: Locator, body: object = None) -> tuple[str, str]:
    """Press Execute; return the status and body that the page shows."""
    if body is not None:
        block.locator("textarea.body-param__text").fill(json.dumps(body))
    block.locator("button.execute").click()
    answer = block.locator(".live-responses-table .response")
    answer.wait_for()
    return (
        answer.locator(".response-col_status").inner_text().split()[0],
        answer.locator(".response-col_description").inner_text(),
    )


def test_signing_in_by_try_it_out_lets_one_order(page: Page, admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=5)
    page.goto("/docs")
    page.get_by_role("heading", name="Orderly").first.wait_for()

    credentials = {"email": "alice@example.com", "password": PASSWORD}
    status, shown = execute(operation(page, "login"), credentials)
    assert "200" == status
    assert "alice@example.com" in shown

    order = {"items": [{"product_id": mug["id"], "quantity": 2}]}
    status, shown = execute(operation(page, "create_order"), order)

    assert "201" == status
    assert '"status": "PENDING"' in shown
    assert 3 == stock_of(alice, mug)
    cookies = {one["name"]: one for one in page.context.cookies()}
    assert {"orderly_access", "orderly_refresh"} == cookies.keys()
    assert all(one["httpOnly"] and one["sameSite"] == "Lax" for one in cookies.values())
    assert "" == page.evaluate("document.cookie")


def test_without_signing_in_the_page_shows_the_problem(page: Page) -> None:
    page.goto("/docs")

    status, shown = execute(operation(page, "get_me"))

    assert "401" == status
    assert "unauthenticated" in shown
