"""The example storefront's product page and pictures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from httpx2 import Client
from playwright.sync_api import Page, Route, expect

from tests.support.shop import PRODUCTS, add_product
from tests.support.storefront import ADDRESS

HOST = "https://images.example.com"
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"></svg>'
HOSTILE = '"><img src=x onerror="window.attacked = 1"><script>window.attacked = 1</script>'


@pytest.fixture(autouse=True)
def _image_server(page: Page) -> None:
    """Serve pictures at HOST; those with "missing" in their URL are 404."""

    def serve(route: Route) -> None:
        if "missing" in route.request.url:
            route.fulfill(status=404, body="Not found")
        else:
            route.fulfill(body=PICTURE, content_type="image/svg+xml")

    page.route(f"{HOST}/**", serve)


def images(*names: str) -> list[dict[str, str]]:
    return [{"url": f"{HOST}/{name}.svg", "alt": f"The {name}"} for name in names]


def open_product(page: Page, product: dict[str, Any]) -> None:
    page.goto(f"{ADDRESS}#product/{product['id']}")
    expect(page.locator("#product h1")).to_have_text(product["name"])


def test_a_card_leads_to_the_page_of_its_product_and_back(page: Page, admin: Client) -> None:
    for number in range(12):
        add_product(admin, f"MUG-{number}")
    zester = add_product(admin, "Z-1", name="Zester", description="Sharp.\nSmall.", stock=3)
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto(ADDRESS)
    page.get_by_role("button", name="Show more").click()
    card = page.get_by_role("link", name="Zester")
    expect(card).to_be_focused()  # the first of the products that were added
    position = page.evaluate("scrollY")

    page.keyboard.press("Enter")

    heading = page.locator("#product h1")
    expect(heading).to_be_focused()
    expect(page).to_have_title("Zester \N{EN DASH} Corner Coffee")
    expect(page).to_have_url(re.compile(f"#product/{zester['id']}$"))
    expect(page.locator("#product-content")).to_contain_text("Sharp.\nSmall.", use_inner_text=True)
    expect(page.locator("#product-content")).to_contain_text("Only 3 left")
    page.get_by_label("Quantity").fill("3")
    page.get_by_role("button", name="Add to cart: Zester").click()
    expect(page.locator("#message")).to_have_text("Zester is in your cart.")
    expect(page.locator("#cart-count")).to_have_text("3")
    page.go_back()
    expect(page.locator("#products h1")).to_be_focused()
    assert 0 < position == page.evaluate("scrollY")


def test_a_button_for_each_picture_shows_it(page: Page, admin: Client) -> None:
    product = add_product(admin, images=images("front", "missing-back", "side"))
    open_product(page, product)
    large = page.locator(".gallery > :first-child")
    expect(large.get_by_role("img", name="The front")).to_have_js_property("naturalWidth", 40)

    page.get_by_role("group", name="Pictures").get_by_role("button", name="The side").press("Enter")

    expect(large.get_by_role("img", name="The side")).to_have_js_property("naturalWidth", 40)
    expect(page.get_by_role("button", pressed=True)).to_have_accessible_name("The side")


def test_a_picture_that_does_not_load_becomes_a_letter_with_its_text_alternative(
    page: Page, admin: Client
) -> None:
    product = add_product(admin, name="mug", images=images("missing"))
    plain = add_product(admin, "PLAIN", name="Kettle")
    page.goto(ADDRESS)
    letter = page.locator(f"[data-sku='{product['sku']}']").get_by_role("img", name="The missing")
    expect(letter).to_have_text("M")
    expect(page.locator(f"[data-sku='{plain['sku']}'] .picture")).to_have_text("K")

    open_product(page, product)

    expect(page.locator(".gallery").get_by_role("img", name="The missing")).to_have_text("M")
    expect(page.locator("#product img")).to_have_count(0)


def test_hostile_texts_are_shown_as_texts(page: Page, admin: Client) -> None:
    shown = {"url": f"{HOST}/x.svg?'onload=alert(1)", "alt": HOSTILE}
    missing = {"url": f"{HOST}/missing", "alt": HOSTILE}
    product = add_product(admin, "X", name=HOSTILE, description=HOSTILE, images=[shown, missing])
    page.goto(ADDRESS)
    expect(page.locator(".product h2")).to_have_text(HOSTILE)
    expect(page.locator(".product p")).to_have_text(HOSTILE)

    page.locator(".product h2 a").click()

    expect(page.locator("#product h1")).to_have_text(HOSTILE)
    expect(page.locator("#product .description")).to_have_text(HOSTILE)
    expect(page.locator(".gallery img").first).to_have_attribute("alt", HOSTILE)
    expect(page.locator(".thumbnail [role=img]")).to_have_attribute("aria-label", HOSTILE)
    page.get_by_role("button", name="Add to cart").last.click()
    expect(page.locator("#message")).to_contain_text(HOSTILE)
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("#cart-content td a")).to_have_text(HOSTILE)
    admin.delete(f"{PRODUCTS}/{product['id']}")
    page.reload()
    expect(page.locator("#message .bad")).to_contain_text(HOSTILE)
    assert page.evaluate("window.attacked") is None


def test_a_product_that_is_not_sold_has_a_page_that_says_so(page: Page, admin: Client) -> None:
    archived = add_product(admin)
    admin.delete(f"{PRODUCTS}/{archived['id']}")

    for product_id in (archived["id"], "nonsense", ""):
        page.goto("about:blank")
        page.goto(f"{ADDRESS}#product/{product_id}")
        expect(page.locator("#product")).to_contain_text("This product is not sold")
