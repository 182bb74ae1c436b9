"""The example storefront's page of an order."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client
from playwright.sync_api import Page, expect

from tests.support.shop import (
    LONDON,
    add_product,
    place_order,
    record_payment,
    update_order,
    update_status,
)
from tests.support.storefront import ADDRESS, sign_in


@pytest.fixture
def order(admin: Client, alice: Client) -> dict[str, Any]:
    mug = add_product(admin, name="Mug")
    placed = place_order(alice, (mug, 2), shipping_address=LONDON, note="<b>Ring</b> twice.")
    order: dict[str, Any] = placed.json()
    return order


def test_the_page_of_an_order_shows_its_timeline_and_how_to_track_it(
    page: Page, admin: Client, order: dict[str, Any]
) -> None:
    record_payment(admin, order, 3980)
    update_status(admin, order, "SHIPPED", tracking_number="0034")
    update_order(admin, order, carrier="Royal <i>Mail</i>", tracking_number="0035")
    page.goto(f"{ADDRESS}#orders")
    sign_in(page)
    expect(page.locator("#order-list")).to_contain_text("Royal <i>Mail</i>, 0035")

    page.get_by_role("link", name=order["number"]).click()

    expect(page.locator("#order h1")).to_be_focused()
    facts = page.locator(".facts")
    for text in ("Shipped", "€39.80", "Royal <i>Mail</i>", "0035", "London", "<b>Ring</b> twice."):
        expect(facts).to_contain_text(text)
    events = page.locator(".timeline strong")
    expect(events.first).to_have_text("Order placed")
    expect(events.filter(has_text="Paid")).to_have_count(1)
    expect(events.filter(has_text="Shipped")).to_have_count(1)
    expect(events.last).to_have_text(
        "Changed: tracking number 0034 → 0035, carrier none → Royal <i>Mail</i>"
    )


def test_an_order_can_be_cancelled_on_its_page(
    page: Page, admin: Client, order: dict[str, Any]
) -> None:
    page.goto(f"{ADDRESS}#order/{order['id']}")
    expect(page.locator("#order")).to_contain_text("Sign in to see your order.")
    sign_in(page)

    page.get_by_role("button", name="Cancel order").click()

    expect(page.locator(".timeline strong").last).to_have_text("Cancelled")
    expect(page.get_by_role("button", name="Cancel order")).to_have_count(0)


def test_the_order_of_another_user_is_not_found(
    page: Page, bob: Client, order: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_in(page, "bob")

    for order_id in (order["id"], "nonsense"):
        page.goto(f"{ADDRESS}#order/{order_id}")
        expect(page.locator("#order")).to_contain_text("You have no such order.")
