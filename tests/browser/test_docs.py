"""Swagger UI as an API consumer uses it."""

from __future__ import annotations

import itertools
import json
import re
import shlex

from httpx2 import Client
from playwright.sync_api import Locator, Page, expect

from tests.support.accounts import PASSWORD
from tests.support.shop import add_product, get_stock


def operation(page: Page, operation_id: str) -> Locator:
    """Open an operation on the page; return its element."""
    block = page.locator(f".opblock[id$='-{operation_id}']")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
    return block


def execute(block: Locator, body: object = None) -> tuple[str, str]:
    """Send the request with Execute; return the status and body that the page shows."""
    if body is not None:
        block.locator("textarea.body-param__text").fill(json.dumps(body))
    block.locator("button.execute").click()
    response = block.locator(".live-responses-table .response")
    response.wait_for()
    return (
        response.locator(".response-col_status").inner_text().split()[0],
        response.locator(".response-col_description").inner_text(),
    )


def test_a_user_can_sign_in_and_place_an_order_with_try_it_out(
    page: Page, admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=5)
    page.goto("/docs")
    page.get_by_role("heading", name="Orderly").first.wait_for()

    credentials = {"email": "alice@example.com", "password": PASSWORD}
    status, text = execute(operation(page, "login"), credentials)
    assert "200" == status
    assert "alice@example.com" in text

    order = {"items": [{"product_id": mug["id"], "quantity": 2}]}
    status, text = execute(operation(page, "create_order"), order)

    assert "201" == status
    assert '"status": "PENDING"' in text
    assert 3 == get_stock(alice, mug)
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert {"orderly_access", "orderly_refresh"} == cookies.keys()
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in cookies.values())
    assert "" == page.evaluate("document.cookie")


def test_an_anonymous_request_shows_the_problem_document(page: Page) -> None:
    page.goto("/docs")

    status, text = execute(operation(page, "get_me"))

    assert "401" == status
    assert "unauthenticated" in text


def test_operations_are_grouped_by_the_tags_of_the_document(page: Page, anonymous: Client) -> None:
    document = anonymous.get("/openapi.json").json()
    page.goto("/docs")
    page.locator(".opblock").first.wait_for()

    tags = page.locator(".opblock-tag").evaluate_all("tags => tags.map((tag) => tag.dataset.tag)")
    assert [tag["name"] for tag in document["tags"]] == tags
    for tag in tags:
        count = page.locator(f"[id^='operations-{tag}-'].opblock").count()
        assert count == sum(
            operation.get("tags") == [tag]
            for item in document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
        )


def test_each_open_operation_has_its_own_url(page: Page) -> None:
    page.goto("/docs#/orders/cancel_order")
    page.locator(".opblock.is-open[id$='-cancel_order']").wait_for()

    operation(page, "get_me")

    assert page.url.endswith("/docs#/users/get_me")


def test_a_request_body_can_be_chosen_from_the_examples(page: Page) -> None:
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


def test_an_optional_parameter_is_not_sent_until_an_example_is_chosen(
    page: Page, admin: Client
) -> None:
    add_product(admin, "MUG", price=400)
    add_product(admin, "JUG", price=900)
    page.goto("/docs")
    block = operation(page, "list_products")

    status, text = execute(block)
    assert "200" == status
    assert '"MUG"' in text
    assert '"JUG"' in text
    expect(block.locator(".request-url")).to_have_text(re.compile(r"/products\?limit=20$"))

    block.locator("tr[data-param-name='min_price'] .examples-select select").select_option(
        "at_least_5"
    )
    block.locator("button.execute").click()

    response = block.locator(".live-responses-table .response .response-col_description")
    expect(response).not_to_contain_text('"MUG"')
    expect(response).to_contain_text('"JUG"')


def test_a_bearer_token_is_kept_when_the_page_is_reloaded(page: Page, alice: Client) -> None:
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

    status, text = execute(operation(page, "get_me"))
    assert "200" == status
    assert "alice@example.com" in text


def test_signing_out_clears_the_storage_of_the_browser(page: Page, alice: Client) -> None:
    """Browsers treat this machine like HTTPS, so they honor `Clear-Site-Data`."""
    page.goto("/docs")
    credentials = {"email": "alice@example.com", "password": PASSWORD}
    assert "200" == execute(operation(page, "login"), credentials)[0]
    page.evaluate("localStorage.setItem('authorized', 'a bearer token')")

    assert "204" == execute(operation(page, "logout"))[0]

    page.wait_for_function("localStorage.length === 0")


def test_operations_fit_on_the_screen_of_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/docs")
    for operation_id in ("create_order", "list_products", "issue_token", "import_products"):
        operation(page, operation_id).locator(".responses-table .response").first.wait_for()

    overflows = page.locator("html").evaluate("page => page.scrollWidth > page.clientWidth")
    assert not overflows


def test_the_filter_finds_the_words_of_a_summary(page: Page) -> None:
    page.goto("/docs")
    blocks = page.locator(".opblock-summary-operation-id, .opblock")
    blocks.first.wait_for()

    page.get_by_label("Filter operations by words").fill("Refund create")

    expect(page.locator(".opblock")).to_have_count(1)
    expect(page.locator(".opblock")).to_have_id("operations-refunds-create_refund")
    page.get_by_label("Filter operations by words").fill("nothing has this")
    expect(page.locator(".opblock")).to_have_count(0)


def test_operations_are_on_the_first_screen_and_the_guide_opens(page: Page) -> None:
    page.goto("/docs")

    expect(page.locator(".opblock").first).to_be_in_viewport()
    guide = page.locator("details.guide")
    expect(guide.get_by_text("Money is an integer")).to_be_hidden()
    guide.locator("summary").click()
    expect(guide.get_by_text("Money is an integer")).to_be_visible()
    page.get_by_role("link", name="Orderly", exact=True).click()
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_the_page_follows_dark_mode(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/docs")
    path = page.locator(".opblock-summary-path").first
    light_text, dark_text = "rgb(59, 65, 81)", "rgb(228, 230, 230)"

    expect(path).to_have_css("color", dark_text)
    page.emulate_media(color_scheme="light")
    expect(path).to_have_css("color", light_text)


def test_only_the_token_can_be_entered_in_the_dialog_authorize(page: Page) -> None:
    page.goto("/docs")

    page.locator("button.authorize").first.click()

    expect(page.locator(".auth-container h4")).to_have_text(["bearerAuth (http, Bearer)"])


def test_the_curl_commands_keep_the_session(page: Page, admin: Client, alice: Client) -> None:
    del admin, alice
    page.goto("/docs")
    execute(operation(page, "login"), {"email": "alice@example.com", "password": PASSWORD})
    execute(operation(page, "get_me"))

    login, get_me = (
        shlex.split(operation(page, name).locator("pre.curl").inner_text().replace("\\\n", " "))
        for name in ("login", "get_me")
    )

    for command in (login, get_me):
        options = dict(itertools.pairwise(command))
        assert "cookies.txt" == options["--cookie"] == options["--cookie-jar"]
    assert PASSWORD == json.loads(dict(itertools.pairwise(login))["-d"])["password"]
