"""No page violates a rule of axe-core: light and dark, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.accessibility.conftest import failures, width_of_content
from tests.support.accounts import DEMO_ADMIN, DEMO_CLIENT
from tests.support.contract_requests import EXAMPLES

STOREFRONT = "/examples/storefront/"
ADA = EXAMPLES["credentials"]
# Rules that the markup and the colours of Swagger UI violate: docs/accessibility.md.
SWAGGER_UI = {"color-contrast", "nested-interactive"}


def assert_accessible(page: Page, width: int) -> None:
    assert [] == failures(page)
    assert width_of_content(page) <= width


@pytest.mark.parametrize(
    "path", ["/", "/problems", "/changelog", "/workflows", "/nowhere", "/sandbox/mail"]
)
def test_a_page_of_text(page: Page, width: int, path: str) -> None:
    page.goto(path)

    assert_accessible(page, width)


@pytest.mark.parametrize("operation", [None, "create_order"])
def test_the_documentation(page: Page, operation: str | None) -> None:
    page.goto("/docs")
    page.locator(".opblock").first.wait_for()
    if operation is not None:
        block = page.locator(f".opblock[id$='-{operation}']")
        block.locator(".opblock-summary-control").click()
        block.locator(".responses-wrapper").wait_for()

    found = failures(page)

    assert [] == [failure for failure in found if not failure["isSwagger"]]
    assert SWAGGER_UI >= {failure["rule"] for failure in found}, found


def _sign_in(page: Page, account: dict[str, str]) -> None:
    response = page.request.post("/api/v1/auth/login", data=account)
    assert 200 == response.status


def _fill_cart(page: Page) -> None:
    page.get_by_role("button", name="Add to cart").nth(3).click()
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("#cart-content table")).to_be_visible()


def _open_first_product(page: Page) -> None:
    page.locator(".product h2 a").first.click()
    expect(page.locator("#product .gallery")).to_be_visible()


def _open_delivered_order(page: Page) -> None:
    card = page.locator("#order-list .card", has_text="DELIVERED")
    card.get_by_role("link").click()
    expect(page.locator(".timeline")).to_be_visible()


def _open_sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog[open]").wait_for()


@pytest.mark.parametrize(
    ("view", "account", "prepare"),
    [
        ("#products", None, None),
        ("#products", None, _open_sign_in),
        ("#products", DEMO_CLIENT, _fill_cart),
        ("#products", None, _open_first_product),
        ("#orders", ADA, None),
        ("#orders", ADA, _open_delivered_order),
        ("#orders", None, None),
        ("#account", DEMO_CLIENT, None),
    ],
    ids=["products", "sign-in", "cart", "product", "orders", "order", "no-orders", "account"],
)
def test_the_storefront(
    page: Page,
    width: int,
    view: str,
    account: dict[str, str] | None,
    prepare: Callable[[Page], None] | None,
) -> None:
    if account is not None:
        _sign_in(page, account)
        # The storefront sets this after a sign-in.
        page.add_init_script("localStorage.setItem('signed-in', 'yes')")
    page.goto(STOREFRONT + view)
    expect(page.locator(".product")).to_have_count(12)
    page.wait_for_load_state("networkidle")
    if account is not None:
        expect(page.locator("#user-name")).not_to_be_empty()
    if prepare is not None:
        prepare(page)

    assert_accessible(page, width)


def _ship(page: Page) -> None:
    page.get_by_role("button", name="Ship").first.click()
    page.locator("dialog[open]").wait_for()


def _check_file(page: Page) -> None:
    content = b"sku,name,price\nMUG-1,Mug,1.50\nmug 2,Mug,free\n"
    file = {"name": "products.csv", "mimeType": "text/csv", "buffer": content}
    page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()
    page.locator("table.faults").wait_for()


def _save_an_invalid_product(page: Page) -> None:
    page.get_by_label("SKU").fill("small letters")
    page.get_by_role("button", name="Save").click()
    page.locator("[data-code=malformed_request]").wait_for()


@pytest.mark.parametrize(
    ("view", "prepare"),
    [
        ("#/orders", None),
        ("#/orders?status=PAID", _ship),
        ("#/orders/{order}", None),
        ("#/products", None),
        ("#/products?q=nothing-like-this", None),
        ("#/products/{product}", _save_an_invalid_product),
        ("#/products/new", None),
        ("#/files", _check_file),
        ("#/customers", None),
        ("#/customers/{user}", None),
        ("#/security", None),
    ],
)
def test_the_administration(
    page: Page,
    width: int,
    admin: httpx2.Client,
    view: str,
    prepare: Callable[[Page], None] | None,
) -> None:
    order = admin.get("/api/v1/orders", params={"status": "PAID"}).json()["items"][0]
    ids = {
        "order": order["id"],
        "product": order["items"][0]["product_id"],
        "user": order["user_id"],
    }
    _sign_in(page, DEMO_ADMIN)
    page.goto("/admin/" + view.format(**ids))
    page.locator("main:not([aria-busy]) h1").wait_for()
    page.wait_for_load_state("networkidle")
    if prepare is not None:
        prepare(page)

    assert_accessible(page, width)


def test_signing_in_to_the_administration(page: Page, width: int) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").wait_for()

    assert_accessible(page, width)


def test_both_versions_of_a_product(page: Page, width: int, admin: httpx2.Client) -> None:
    product = admin.get("/api/v1/products", params={"limit": 1}).json()["items"][0]
    url = f"/api/v1/products/{product['id']}"
    _sign_in(page, DEMO_ADMIN)
    page.goto(f"/admin/#/products/{product['id']}")
    page.get_by_label("Name").fill("Typed here")
    changed = admin.patch(url, json={"name": f"{product['name']} again"})
    assert 200 == changed.status_code
    page.get_by_role("button", name="Save").click()
    page.get_by_role("group", name="Name").wait_for()

    assert_accessible(page, width)
