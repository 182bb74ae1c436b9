"""The example storefront as its customers use it."""

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

ADDRESS = "/examples/storefront/"


@pytest.fixture(autouse=True)
def _screenshot(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep what the page looks like at the end of a test, where somebody wants to see it."""
    yield
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)


def put_in_cart(page: Page, sku: str) -> None:
    page.locator(f"[data-sku='{sku}'] button").click()


def sign_in(page: Page, name: str = "alice") -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).to_have_text(name.title())


def message(page: Page) -> str:
    return page.locator("#message").inner_text()


def orders_of(client: Client) -> list[dict[str, object]]:
    items: list[dict[str, object]] = client.get("/api/v1/orders").json()["items"]
    return items


def test_browsing_searching_and_turning_pages(page: Page, admin: Client) -> None:
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


def test_signing_up_ordering_and_cancelling(page: Page, admin: Client) -> None:
    mug = add_product(admin, stock=5)
    page.goto(ADDRESS)
    expect(page.locator(".product")).to_have_count(1)
    put_in_cart(page, mug["sku"])
    put_in_cart(page, mug["sku"])
    expect(page.locator("#cart-count")).to_have_text("2")
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("#cart-content")).to_contain_text("€39.80")

    page.get_by_role("button", name="Place order").click()  # not without signing in
    page.get_by_label("Email").fill("grace@example.com")
    page.get_by_label("Password").fill("short")
    page.get_by_label("Name").fill("Grace")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#sign-in-error")).to_contain_text("/password")
    page.get_by_label("Password").fill(PASSWORD)
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
    assert "orderly_access" not in {one["name"] for one in page.context.cookies()}


def test_what_is_short_or_wrong_is_said(page: Page, admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=1)
    page.goto(ADDRESS)
    sign_in(page)
    put_in_cart(page, mug["sku"])
    put_in_cart(page, mug["sku"])
    page.get_by_role("link", name="Cart").click()
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message .bad")).to_contain_text("you ordered 2, but the stock is 1")
    assert [] == orders_of(alice)
    alice.post("/api/v1/orders", json={"items": [{"product_id": mug["id"], "quantity": 1}]})

    page.get_by_role("button", name="Place order").click()

    expect(page.locator("#message .bad")).to_contain_text("The MUG-BLUE is sold out.")
    expect(page.locator("#cart-content")).to_contain_text("The MUG-BLUE")


def test_nothing_yet_looks_like_nothing_yet(page: Page, alice: Client) -> None:
    page.goto(ADDRESS)
    expect(page.locator("#product-list")).to_have_text("No products match your search.")
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("#cart-content")).to_have_text("Your cart is empty.")
    page.get_by_role("link", name="My orders").click()
    expect(page.locator("#order-list")).to_have_text("Sign in to see your orders.")
    sign_in(page)
    expect(page.locator("#order-list")).to_have_text("You have no orders yet.")


def test_a_second_click_does_not_order_twice(page: Page, admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=5)
    page.goto(ADDRESS)
    sign_in(page)
    put_in_cart(page, mug["sku"])
    page.get_by_role("link", name="Cart").click()

    page.get_by_role("button", name="Place order").dblclick()

    expect(page.locator("#message")).to_contain_text("Thank you!")
    assert 1 == len(orders_of(alice))


def test_an_answer_that_was_lost_does_not_order_twice_either(
    browser: Browser, base_url: str, admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=5)
    context = browser.new_context(base_url=base_url)
    page = context.new_page()
    page.goto(ADDRESS)
    sign_in(page)
    put_in_cart(page, mug["sku"])
    page.get_by_role("link", name="Cart").click()

    def lose_the_answer(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    page.route(re.compile("/orders$"), lose_the_answer, times=1)
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message .bad")).to_contain_text("your order is not placed twice")
    assert 1 == len(orders_of(alice))
    with page.expect_response(re.compile("/orders$")) as replayed:
        page.get_by_role("button", name="Place order").click()

    assert "true" == replayed.value.headers["idempotent-replayed"]
    expect(page.locator("#message")).to_contain_text("Thank you!")
    assert 1 == len(orders_of(alice))
    context.close()


def test_a_session_goes_on_when_its_access_cookie_is_over(page: Page, alice: Client) -> None:
    page.goto(ADDRESS)
    sign_in(page)
    page.context.clear_cookies(name="orderly_access")

    page.reload()

    expect(page.locator("#user-name")).to_have_text("Alice")
