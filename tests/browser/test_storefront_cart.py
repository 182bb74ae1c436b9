"""The example storefront's cart and order form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from httpx2 import Client
from playwright.sync_api import Locator, Page, expect

from tests.support.shop import LONDON, PRODUCTS, add_product, place_order
from tests.support.storefront import ADDRESS, add_to_cart, open_cart, sign_in

LABELS = {
    "recipient": "Recipient",
    "street": "Street and number",
    "postal_code": "Postal code",
    "city": "City",
}


@pytest.fixture
def mug(admin: Client) -> dict[str, Any]:
    return add_product(admin, "MUG", name="Mug", stock=5)


def fill_address(page: Page, **values: str) -> None:
    for name, value in ({name: LONDON[name] for name in LABELS} | values).items():
        page.get_by_role("textbox", name=LABELS[name]).fill(value)
    page.get_by_label("Country").select_option("GB")


def place(page: Page) -> None:
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message")).to_contain_text("Thank you!")


def last_order(client: Client) -> dict[str, Any]:
    orders: list[dict[str, Any]] = client.get("/api/v1/orders?sort=-created_at").json()["items"]
    return orders[0]


def cart_row(page: Page, name: str) -> Locator:
    return page.locator("#cart-content tr", has=page.get_by_role("link", name=name, exact=True))


def test_a_reload_keeps_the_cart_with_new_prices_and_stock(
    page: Page, admin: Client, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    add_to_cart(page, "MUG")
    open_cart(page)
    page.get_by_label("Quantity of Mug").fill("4")
    page.get_by_label("Quantity of Mug").press("Enter")
    expect(cart_row(page, "Mug")).to_contain_text("€79.60")
    expect(page.get_by_label("Quantity of Mug")).to_be_focused()
    admin.patch(f"{PRODUCTS}/{mug['id']}", json={"price": {"amount": 1000, "currency": "EUR"}})
    place_order(alice, (mug, 3))

    page.reload()

    expect(cart_row(page, "Mug")).to_contain_text("€40.00")
    expect(cart_row(page, "Mug")).to_contain_text("Only 2 left")
    expect(page.locator("#cart-count")).to_have_text("4")
    page.get_by_role("button", name="Remove Mug").click()
    expect(page.locator("#cart-heading")).to_be_focused()
    expect(page.locator("#cart-content")).to_have_text("Your cart is empty.")
    page.reload()
    expect(page.locator("#cart-content")).to_have_text("Your cart is empty.")


def test_a_product_that_is_no_longer_sold_is_removed_from_the_cart(
    page: Page, admin: Client, mug: dict[str, Any]
) -> None:
    add_product(admin, "CUP", name="Cup")
    page.goto(ADDRESS)
    add_to_cart(page, "MUG")
    add_to_cart(page, "CUP")
    admin.delete(f"{PRODUCTS}/{mug['id']}")

    page.reload()

    expect(page.locator("#message .bad")).to_have_text(
        "No longer sold, and removed from your cart: Mug"
    )
    expect(page.locator("#cart-count")).to_have_text("1")


def test_two_tabs_have_one_cart(
    page: Page, admin: Client, alice: Client, mug: dict[str, Any]
) -> None:
    add_product(admin, "CUP", name="Cup")
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(ADDRESS)
        expect(tab.locator(".product")).to_have_count(2)

    page.bring_to_front()
    add_to_cart(page, "MUG")
    other.bring_to_front()
    expect(other.locator("#message")).to_have_text("Your cart was changed in another tab.")
    add_to_cart(other, "CUP")

    for tab in (other, page):
        # A click waits for animation frames, which are rare in a tab behind another one.
        tab.bring_to_front()
        expect(tab.locator("#cart-count")).to_have_text("2")
        open_cart(tab)
        expect(cart_row(tab, "Mug")).to_be_visible()
        expect(cart_row(tab, "Cup")).to_be_visible()
    sign_in(page)
    place(page)
    expect(other.locator("#cart-content")).to_have_text("Your cart is empty.")


def test_an_order_is_not_placed_if_the_cart_is_not_the_one_that_is_shown(
    page: Page, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, "MUG")
    open_cart(page)
    # As another tab does, before this one gets the event
    changed = f"{'0' * 32}\n{mug['id']} 3 Mug"
    page.evaluate(f"localStorage.setItem('cart', {json.dumps(changed)})")

    page.get_by_role("button", name="Place order").click()

    expect(page.locator("#message .bad")).to_contain_text("changed in another tab")
    expect(page.get_by_label("Quantity of Mug")).to_have_value("3")
    assert [] == alice.get("/api/v1/orders").json()["items"]
    place(page)
    assert 3 == last_order(alice)["items"][0]["quantity"]


def test_a_stored_cart_that_is_not_valid_is_empty(page: Page, mug: dict[str, Any]) -> None:
    page.goto(ADDRESS)
    key = "0" * 32
    for text in ("", "nonsense", "{}", f"{key}\nnonsense", f"{key}\n../users/me 1 Mug"):
        page.evaluate(f"localStorage.setItem('cart', {json.dumps(text)})")

        page.reload()
        add_to_cart(page, "MUG")

        expect(page.locator("#cart-count")).to_have_text("1")


def test_an_order_is_sent_to_the_address_in_the_form(
    page: Page, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, "MUG")
    page.get_by_role("link", name="Cart").click()
    fill_address(page, city="")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("textbox", name="City")).to_be_focused()  # the browser asks for it
    # A space of no width: only the shop refuses it.
    page.get_by_role("textbox", name="City").fill("\u200b")
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message .bad")).to_contain_text("/shipping_address/city")
    expect(page.locator("[aria-invalid=true]")).to_be_focused()
    assert [] == alice.get("/api/v1/orders").json()["items"]

    page.get_by_role("textbox", name="City").fill(" London ")
    place(page)

    assert LONDON == last_order(alice)["shipping_address"]
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_an_address_is_remembered_only_if_the_customer_wants(
    page: Page, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    city, remember = (
        page.get_by_role("textbox", name="City"),
        page.get_by_label("Remember this address"),
    )

    def order() -> None:
        page.get_by_role("link", name="Shop").click()
        add_to_cart(page, "MUG")
        page.get_by_role("link", name="Cart").click()

    order()
    fill_address(page)
    place(page)
    page.reload()
    order()
    expect(city).to_have_value("")
    fill_address(page)
    remember.check()
    place(page)
    page.reload()
    order()
    expect(city).to_have_value("London")
    place(page)
    assert LONDON == last_order(alice)["shipping_address"]
    order()
    remember.uncheck()
    page.reload()
    expect(city).to_have_value("")


def test_signing_out_forgets_the_cart_and_the_address(
    page: Page, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, "MUG")
    page.get_by_role("link", name="Cart").click()
    fill_address(page)
    page.get_by_label("Remember this address").check()
    place(page)
    page.get_by_role("link", name="Shop").click()
    add_to_cart(page, "MUG")

    page.get_by_role("button", name="Sign out").click()

    expect(page.locator("#cart-count")).to_have_text("0")
    expect(page.locator("#user-name")).to_have_text("")
    assert 0 == page.evaluate("localStorage.length")


def test_an_order_that_is_picked_up_has_no_address(
    page: Page, alice: Client, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, "MUG")
    open_cart(page)

    place(page)

    assert last_order(alice)["shipping_address"] is None
