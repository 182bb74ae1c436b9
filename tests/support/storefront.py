"""What the browser tests do in the example storefront."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.accounts import PASSWORD

ADDRESS = "/examples/storefront/"


def add_to_cart(page: Page, sku: str) -> None:
    """Add a product of the list to the cart."""
    page.locator(f"[data-sku='{sku}'] button").click()


def sign_in(page: Page, name: str = "alice") -> None:
    """Sign in as a customer of the tests."""
    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(f"{name}@example.com")
    page.locator("dialog").get_by_label("Password").fill(PASSWORD)
    page.locator("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).to_have_text(name.title())


def open_cart(page: Page) -> None:
    """Open the cart, and choose to pick the order up, so that it needs no address."""
    page.get_by_role("link", name="Cart").click()
    page.get_by_label("Pick up in the shop").check()
