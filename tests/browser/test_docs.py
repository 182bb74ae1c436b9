"""Swagger UI as an API consumer uses it."""

from __future__ import annotations

import json
import re

from httpx2 import Client
from playwright.sync_api import Locator, Page, expect

from tests.support.accounts import PASSWORD
from tests.support.shop import add_product, get_stock


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
    response = block.locator(".live-responses-table .response")
    response.wait_for()
    return (
        response.locator(".response-col_status").inner_text().split()[0],
        response.locator(".response-col_description").inner_text(),
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
    assert 3 == get_stock(alice, mug)
    cookies = {one["name"]: one for one in page.context.cookies()}
    assert {"orderly_access", "orderly_refresh"} == cookies.keys()
    assert all(one["httpOnly"] and one["sameSite"] == "Lax" for one in cookies.values())
    assert "" == page.evaluate("document.cookie")


def test_without_signing_in_the_page_shows_the_problem(page: Page) -> None:
    page.goto("/docs")

    status, shown = execute(operation(page, "get_me"))

    assert "401" == status
    assert "unauthenticated" in shown


def test_operations_are_grouped_by_the_tags_of_the_document(page: Page, anonymous: Client) -> None:
    document = anonymous.get("/openapi.json").json()
    page.goto("/docs")
    page.locator(".opblock").first.wait_for()

    tags = page.locator(".opblock-tag").evaluate_all("tags => tags.map((tag) => tag.dataset.tag)")
    assert [tag["name"] for tag in document["tags"]] == tags
    for tag in tags:
        shown = page.locator(f"[id^='operations-{tag}-'].opblock").count()
        assert shown == sum(
            operation.get("tags") == [tag]
            for item in document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
        )


def test_an_address_leads_to_an_operation_and_opening_one_gives_its_address(page: Page) -> None:
    page.goto("/docs#/orders/cancel_order")
    page.locator(".opblock.is-open[id$='-cancel_order']").wait_for()

    operation(page, "get_me")

    assert page.url.endswith("/docs#/users/get_me")


def test_a_request_is_chosen_among_examples(page: Page) -> None:
    page.goto("/docs")
    block = operation(page, "issue_token")
    body = block.locator("textarea.body-param__text")
    assert "password" in body.input_value()

    choices = block.locator(".opblock-section-request-body .examples-select select")
    assert ["by_password", "by_refresh_token"] == choices.locator("option").evaluate_all(
        "options => options.map((option) => option.value)"
    )
    choices.select_option("by_refresh_token")

    expect(body).to_have_value(re.compile("refresh_token"))


def test_what_is_optional_is_left_out_until_an_example_is_chosen(page: Page, admin: Client) -> None:
    add_product(admin, "MUG", price=400)
    add_product(admin, "JUG", price=900)
    page.goto("/docs")
    block = operation(page, "list_products")

    status, shown = execute(block)
    assert "200" == status
    assert '"MUG"' in shown
    assert '"JUG"' in shown
    expect(block.locator(".request-url")).to_have_text(re.compile(r"/products\?limit=20$"))

    block.locator("tr[data-param-name='min_price'] .examples-select select").select_option(
        "at_least_5"
    )
    block.locator("button.execute").click()

    response = block.locator(".live-responses-table .response .response-col_description")
    expect(response).not_to_contain_text('"MUG"')
    expect(response).to_contain_text('"JUG"')


def test_a_bearer_token_stays_when_the_page_is_opened_again(page: Page, alice: Client) -> None:
    credentials = {"email": "alice@example.com", "password": PASSWORD}
    token = alice.post("/api/v1/auth/token", json=credentials).json()["access_token"]
    page.goto("/docs")
    page.get_by_role("button", name="Authorize", exact=True).first.click()
    form = page.locator(".auth-container", has_text="bearerAuth")
    form.locator("input").fill(token)
    form.get_by_role("button", name="Apply credentials").click()
    page.locator(".close-modal").click()
    assert "200" == execute(operation(page, "get_me"))[0]

    page.reload()

    status, shown = execute(operation(page, "get_me"))
    assert "200" == status
    assert "alice@example.com" in shown


def test_an_operation_fits_on_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/docs")
    for operation_id in ("create_order", "list_products", "issue_token", "import_products"):
        operation(page, operation_id).locator(".responses-table .response").first.wait_for()

    wide = page.locator("html").evaluate("page => page.scrollWidth > page.clientWidth")
    assert not wide
