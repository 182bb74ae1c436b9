"""The example storefront, used as a customer would."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.accounts import PASSWORD
from tests.support.shop import add_product, get_stock
from tests.support.storefront import ADDRESS, add_to_cart, open_cart, sign_in


@pytest.fixture(autouse=True)
def _screenshot(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """Save a screenshot at the end of each test if PYTEST_SCREENSHOTS names a folder."""
    yield
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)


def list_orders(client: Client) -> list[dict[str, object]]:
    items: list[dict[str, object]] = client.get("/api/v1/orders").json()["items"]
    return items


def test_a_visitor_can_browse_search_and_load_more_products(page: Page, admin: Client) -> None:
    for number in range(15):
        add_product(admin, sku=f"MUG-{number:02}", name=f"Mug {number:02}", price=1000 - number)
    add_product(admin, sku="KETTLE", name="Gooseneck kettle", price=12900, stock=3)
    add_product(admin, sku="GRINDER", name="Hand grinder", price=8900, stock=0)
    cards = page.locator(".product")
    page.goto(ADDRESS)
    expect(cards).to_have_count(12)
    expect(cards.first).to_contain_text("Gooseneck kettle")
    expect(cards.first).to_contain_text("€129.00")
    expect(cards.first).to_contain_text("Only 3 left")

    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(17)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()

    page.get_by_label("Sort by").select_option("price")
    expect(cards.first).to_contain_text("Mug 14")
    page.get_by_label("Search").fill("grinder")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Sold out")
    page.get_by_label("in stock").check()
    expect(cards).to_have_count(0)
    expect(page.locator("#product-list")).to_have_text("No products match your search.")


def test_a_customer_can_sign_up_place_an_order_and_cancel_it(page: Page, admin: Client) -> None:
    mug = add_product(admin, stock=5)
    page.goto(ADDRESS)
    expect(page.locator(".product")).to_have_count(1)
    add_to_cart(page, mug["sku"])
    add_to_cart(page, mug["sku"])
    expect(page.locator("#cart-count")).to_have_text("2")
    open_cart(page)
    expect(page.locator("#cart-content")).to_contain_text("€39.80")

    page.get_by_role("button", name="Place order").click()  # opens the sign-in dialog first
    page.locator("dialog").get_by_label("Email").fill("grace@example.com")
    page.locator("dialog").get_by_label("Password").fill("short")
    page.locator("dialog").get_by_label("Name").fill("Grace")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#sign-in-error")).to_contain_text("/password")
    page.locator("dialog").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#user-name")).to_have_text("Grace")

    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message")).to_contain_text("Thank you!")
    card = page.locator("#order-list .card")
    expect(card).to_contain_text("PENDING")
    expect(card).to_contain_text("2 \N{MULTIPLICATION SIGN} The MUG-BLUE")
    expect(page.locator("#cart-count")).to_have_text("0")
    assert 3 == get_stock(admin, mug)

    page.get_by_role("button", name="Cancel order").click()
    expect(card).to_contain_text("CANCELLED")
    expect(page.get_by_role("button", name="Cancel order")).to_have_count(0)
    assert 5 == get_stock(admin, mug)

    page.reload()
    expect(page.locator("#user-name")).to_have_text("Grace")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#order-list")).to_have_text("Sign in to see your orders.")
    assert "orderly_access" not in {cookie["name"] for cookie in page.context.cookies()}


def test_insufficient_stock_is_shown_to_the_customer(
    page: Page, admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=1)
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, mug["sku"])
    add_to_cart(page, mug["sku"])
    open_cart(page)
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message .bad")).to_contain_text("you ordered 2, but the stock is 1")
    assert [] == list_orders(alice)
    alice.post("/api/v1/orders", json={"items": [{"product_id": mug["id"], "quantity": 1}]})

    page.get_by_role("button", name="Place order").click()

    expect(page.locator("#message .bad")).to_contain_text("The MUG-BLUE is sold out.")
    expect(page.locator("#cart-content")).to_contain_text("The MUG-BLUE")


def test_empty_lists_have_a_message(page: Page, alice: Client) -> None:
    page.goto(ADDRESS)
    expect(page.locator("#product-list")).to_have_text("No products match your search.")
    expect(page.locator("#demo-account")).to_be_hidden()  # only a demo shows a password
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("#cart-content")).to_have_text("Your cart is empty.")
    page.get_by_role("link", name="My orders").click()
    expect(page.locator("#order-list")).to_have_text("Sign in to see your orders.")
    sign_in(page)
    expect(page.locator("#order-list")).to_have_text("You have no orders yet.")


def test_an_unknown_fragment_shows_the_products(page: Page, admin: Client) -> None:
    add_product(admin)
    for fragment in ("nonsense", "constructor", "product-list"):
        page.goto("about:blank")
        page.goto(f"{ADDRESS}#{fragment}")
        expect(page.locator(".product")).to_be_visible()


def test_a_double_click_places_one_order(page: Page, admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=5)
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, mug["sku"])
    open_cart(page)

    page.get_by_role("button", name="Place order").dblclick()

    expect(page.locator("#message")).to_contain_text("Thank you!")
    assert 1 == len(list_orders(alice))


def test_repeating_an_order_after_a_lost_response_places_one_order(
    browser: Browser, base_url: str, admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=5)
    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    page.goto(ADDRESS)
    sign_in(page)
    add_to_cart(page, mug["sku"])
    open_cart(page)

    def lose_response(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    page.route(re.compile("/orders$"), lose_response, times=1)
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message .bad")).to_contain_text("your order is not placed twice")
    assert 1 == len(list_orders(alice))
    with page.expect_response(re.compile("/orders$")) as replayed:
        page.get_by_role("button", name="Place order").click()

    assert "true" == replayed.value.headers["idempotent-replayed"]
    expect(page.locator("#message")).to_contain_text("Thank you!")
    assert 1 == len(list_orders(alice))
    context.close()


def test_the_session_continues_when_the_access_cookie_has_expired(
    page: Page, alice: Client
) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    page.context.clear_cookies(name="orderly_access")

    page.reload()

    expect(page.locator("#user-name")).to_have_text("Alice")
