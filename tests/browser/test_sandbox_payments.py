"""Pay in the example storefront: with the demo, whose sandbox has a payment page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.accounts import DEMO_ADMIN, DEMO_CLIENT
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

STOREFRONT = "/examples/storefront/"


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a demo, whose sandbox sends its notifications."""
    directory = tmp_path_factory.mktemp("payments") / "data"
    with run_server(
        directory, "--demo", ORDERLY_VALIDATE_RESPONSES="true", **NO_RATE_LIMIT_VARIABLES
    ) as server:
        yield server.url


def take_screenshot(page: Page, name: str) -> None:
    """Save a screenshot if PYTEST_SCREENSHOTS names a folder."""
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def order(page: Page) -> Locator:
    """Order a product in the storefront; return the card of the order."""
    page.goto(STOREFRONT)
    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(DEMO_CLIENT["email"])
    page.locator("dialog").get_by_label("Password").fill(DEMO_CLIENT["password"])
    page.locator("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).not_to_be_empty()
    page.get_by_label("Search").fill("hand grinder")
    page.locator("[data-sku='GRINDER-01'] button").click()
    page.get_by_role("link", name="Cart").click()
    page.get_by_label("Pick up in the shop").check()
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message")).to_contain_text("Thank you!")
    card = page.locator("#order-list .card").first
    expect(card).to_contain_text("PENDING")
    return card


def open_payment_page(page: Page, order: Locator) -> None:
    order.get_by_role("button", name="Pay").click()
    page.wait_for_url(re.compile("/sandbox/payments/"))
    expect(page.locator("#amount")).to_have_text("€64.90")


def return_to_shop(page: Page) -> Locator:
    page.get_by_role("link", name="Back to the shop").click()
    page.wait_for_url(re.compile(f"{STOREFRONT}#orders$"))
    return page.locator("#order-list .card").first


def refund_last_payment(base_url: str) -> None:
    """Refund the newest order, as an administrator does."""
    with httpx2.Client(base_url=f"{base_url}/api/v1") as admin:
        admin.post("/auth/login", json=DEMO_ADMIN)
        order_id = admin.get("/orders?limit=1&sort=-created_at").json()["items"][0]["id"]
        payment = admin.get(f"/orders/{order_id}/payments").json()["items"][-1]
        response = admin.post(f"/payments/{payment['id']}/refunds")
        assert 201 == response.status_code, response.text


def test_a_customer_pays_an_order_and_sees_its_refund(
    page: Page, order: Locator, base_url: str
) -> None:
    number = order.locator("h2").inner_text()
    open_payment_page(page, order)
    expect(page.locator("#order")).to_have_text(f"Order {number}")
    take_screenshot(page, "sandbox-choose")

    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("#status")).to_have_text("The payment has succeeded.")
    expect(page.locator("button:visible")).to_have_count(0)
    take_screenshot(page, "sandbox-succeeded")
    order = return_to_shop(page)

    expect(order).to_contain_text(number)
    expect(order).to_contain_text("PAID")
    expect(order.get_by_role("button")).to_have_count(0)
    take_screenshot(page, "storefront-paid")

    refund_last_payment(base_url)
    page.reload()

    expect(order).to_contain_text("Refunded: €64.90")
    take_screenshot(page, "storefront-refunded")


def test_a_customer_whose_card_is_declined_can_pay_again(page: Page, order: Locator) -> None:
    open_payment_page(page, order)
    page.get_by_role("button", name="declined").click()
    expect(page.locator("#status")).to_contain_text("The card was declined.")
    take_screenshot(page, "sandbox-declined")
    order = return_to_shop(page)
    expect(order).to_contain_text("Your payment was declined.")
    expect(order).to_contain_text("PENDING")
    take_screenshot(page, "storefront-declined")

    open_payment_page(page, order)
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.locator("#status")).to_have_text("The payment has succeeded.")

    expect(return_to_shop(page)).to_contain_text("PAID")


def test_a_payment_that_was_left_can_be_continued_and_confirmed(page: Page, order: Locator) -> None:
    open_payment_page(page, order)
    address = page.url.partition("?")[0]
    order = return_to_shop(page)
    open_payment_page(page, order)
    assert address == page.url.partition("?")[0]

    page.get_by_role("button", name="confirmation").click()
    expect(page.get_by_text("Your bank asks")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Your bank asks")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    take_screenshot(page, "sandbox-confirm-phone")
    page.get_by_role("button", name="Yes, confirm").click()
    expect(page.locator("#status")).to_have_text("The payment has succeeded.")

    expect(return_to_shop(page)).to_contain_text("PAID")


def test_a_payment_by_a_slow_bank_succeeds_while_the_page_waits(page: Page, order: Locator) -> None:
    open_payment_page(page, order)

    page.get_by_role("button", name="slow").click()
    expect(page.locator("#status")).to_contain_text("The bank is processing the payment.")
    expect(page.locator("#status")).to_have_text("The payment has succeeded.")

    expect(return_to_shop(page)).to_contain_text("PAID")


def test_the_page_needs_the_session_of_the_customer_and_links_only_to_this_server(
    page: Page, order: Locator
) -> None:
    open_payment_page(page, order)
    address = page.url.partition("?")[0]
    page.context.clear_cookies()

    page.goto(f"{address}?return_to=https://evil.example/")
    expect(page.locator("#status")).to_have_text("Sign in to the shop first.")
    expect(page.locator("button:visible")).to_have_count(0)

    target = page.get_by_role("link", name="Back to the shop").get_attribute("href")
    assert "evil" not in str(target)


def test_the_sign_in_dialog_fills_in_the_account_of_the_demos_customer(page: Page) -> None:
    page.goto(STOREFRONT)
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("button", name="Fill in").click()
    page.keyboard.press("Enter")

    expect(page.locator("#user-name")).to_have_text("Ada Lovelace")
    take_screenshot(page, "signed-in-to-the-demo")
