"""Signing in to the administration page, and its content security policy."""

from __future__ import annotations

import re

from httpx2 import Client
from playwright.sync_api import Page, expect

from tests.browser.test_admin import ADDRESS, sign_in
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.shop import PRODUCTS, add_product

SESSION = "/api/v1/auth/login"


def test_an_administrator_signs_in_and_works_with_the_keyboard_only(
    page: Page, admin: Client
) -> None:
    mug = add_product(admin, sku="MUG", stock=1)
    page.goto(ADDRESS)
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Email")).to_be_visible()
    page.get_by_label("Email").focus()
    for text in ADMIN:
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Orders")).to_be_focused()

    page.get_by_role("link", name="Products", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Products")).to_be_focused()
    page.get_by_role("button", name="Adjust stock\N{HORIZONTAL ELLIPSIS} MUG").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Difference")).to_be_focused()
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator("article.row")).to_contain_text("5 in stock")
    expect(page.get_by_role("link", name="The MUG")).to_be_focused()
    assert 5 == admin.get(f"{PRODUCTS}/{mug['id']}").json()["stock"]


def test_a_customer_is_told_who_can_sign_in(page: Page, admin: Client, alice: Client) -> None:
    page.goto(ADDRESS)
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password").fill("not her password")
    page.get_by_role("button", name="Sign in").click()
    alert = page.get_by_role("alert")
    expect(alert.locator("[data-code=invalid_credentials]")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(alert).to_contain_text("alice@example.com is not an administrator.")
    expect(page.locator("#views")).to_be_hidden()
    # With the cookies of a visit to the shop
    page.request.post(SESSION, data={"email": "alice@example.com", "password": PASSWORD})
    page.reload()
    expect(page.locator("#sign-in-text")).to_contain_text("is not an administrator.")


def test_the_session_continues_when_the_access_cookie_has_expired(
    page: Page, admin: Client
) -> None:
    sign_in(page)
    page.context.clear_cookies(name="orderly_access")
    page.get_by_role("link", name="Customers").click()

    expect(page.locator("article.row")).to_have_count(1)
    expect(page.locator("#sign-in")).to_be_hidden()


def test_nothing_that_was_typed_is_lost_when_the_session_ends(page: Page, admin: Client) -> None:
    mug = add_product(admin, sku="MUG", name="Mug")
    sign_in(page, f"#/products/{mug['id']}")
    page.get_by_label("Name").fill("Typed before the session ended")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#sign-in-text")).to_contain_text("Your session has ended.")
    page.get_by_label("Email").fill(ADMIN[0])
    page.get_by_label("Password").fill(ADMIN[1])
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator("#message")).to_have_text("The product is saved.")
    assert "Typed before the session ended" == admin.get(f"{PRODUCTS}/{mug['id']}").json()["name"]


def test_after_signing_out_the_view_is_gone_and_the_session_has_ended(
    page: Page, admin: Client
) -> None:
    add_product(admin, sku="MUG", name="Mug")
    sign_in(page, "#/products")
    expect(page.locator("article.row")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()

    expect(page.locator("#sign-in-text")).to_have_text("You are signed out.")
    expect(page.locator("article.row")).to_have_count(0)
    assert "orderly_access" not in {cookie["name"] for cookie in page.context.cookies()}


def test_the_policy_allows_no_inline_code_and_no_html_from_text(page: Page, admin: Client) -> None:
    response = page.goto(ADDRESS)
    assert response is not None
    policy = response.headers["content-security-policy"]

    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    html = response.text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", html)
