"""The administration page, used as the administrator of a shop would."""

from __future__ import annotations

import re

import pytest
from httpx2 import Client
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.accounts import ADMIN
from tests.support.shop import (
    LONDON,
    ORDERS,
    PRODUCTS,
    add_product,
    get_stock,
    place_order,
    record_payment,
    update_status,
)

ADDRESS = "/admin/"
HOSTILE = '"><img src=x onerror="document.title=1">\' \N{HEBREW LETTER ALEF}\N{ARABIC LETTER ALEF}'


def sign_in(page: Page, view: str = "") -> None:
    page.goto(ADDRESS + view)
    page.get_by_label("Email").fill(ADMIN[0])
    page.get_by_label("Password").fill(ADMIN[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).to_have_text("Ada Admin")


def press(page: Page, name: str) -> Locator:
    """Press a button that opens a dialog; return the dialog."""
    page.get_by_role("button", name=name, exact=True).click()
    return page.locator("dialog[open]")


def choose_file(page: Page, lines: list[str]) -> None:
    content = "\n".join(["sku,name,price,stock", *lines]).encode()
    file = {"name": "products.csv", "mimeType": "text/csv", "buffer": content}
    page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]


def lose_connection(route: Route) -> None:
    """Let the server process a request, and lose its response."""
    assert route.fetch().status == 201
    route.abort("aborted")


def paid_orders(admin: Client, client: Client, count: int) -> list[str]:
    mug = add_product(admin, stock=100)
    numbers = []
    for _ in range(count):
        order = place_order(client, (mug, 2), shipping_address=LONDON).json()
        assert 200 == update_status(admin, order, "PAID").status_code
        numbers.append(order["number"])
    return numbers


def test_five_paid_orders_are_shipped_with_tracking_numbers(
    page: Page, admin: Client, alice: Client
) -> None:
    numbers = paid_orders(admin, alice, 5)
    sign_in(page, "#/orders?status=PAID")
    expect(page.locator("article.order")).to_have_count(5)

    for index, number in enumerate(numbers):
        dialog = press(page, f"Ship\N{HORIZONTAL ELLIPSIS} {number}")
        dialog.get_by_label("Tracking number").fill(f"0034043416109{index}")
        dialog.get_by_role("button", name="Ship", exact=True).dblclick()
        expect(page.locator(f"[data-number='{number}'] .status")).to_have_text("Shipped")
        expect(page.locator("#message")).to_have_text(f"{number}: shipped.")

    orders = admin.get(ORDERS, params={"status": "SHIPPED", "sort": "created_at"}).json()["items"]
    assert [f"0034043416109{index}" for index in range(5)] == [
        order["tracking_number"] for order in orders
    ]
    page.get_by_role("link", name=numbers[0]).click()
    expect(page.get_by_role("heading", name=f"Order {numbers[0]}")).to_be_focused()
    expect(page.locator(".timeline")).to_contain_text("Paid \N{RIGHTWARDS ARROW} Shipped")
    expect(page.locator(".timeline li")).to_have_count(3)


def test_an_order_is_found_by_its_number_cancelled_and_shown_with_its_refund(
    page: Page, admin: Client, alice: Client
) -> None:
    first, second = paid_orders(admin, alice, 2)
    sign_in(page)
    page.get_by_label("Number").fill(second)
    expect(page.locator("article.order")).to_have_count(1)

    dialog = press(page, f"Cancel\N{HORIZONTAL ELLIPSIS} {second}")
    dialog.get_by_label("Reason").fill("Ordered twice.")
    dialog.get_by_role("button", name="Cancel the order").click()
    expect(page.locator(".status")).to_have_text("Cancelled")
    page.get_by_role("link", name=second).click()

    expect(page.locator("main")).to_contain_text("Ordered twice.")
    expect(page.locator("main")).to_contain_text("\u20ac39.80 refunded")
    page.go_back()
    expect(page.get_by_label("Number")).to_have_value(second)
    page.get_by_label("Number").fill("ORD-0000")
    expect(page.locator("main")).to_contain_text("No orders match these filters.")
    page.get_by_label("Number").fill("?")
    expect(page.locator("#message .bad")).to_contain_text("A number has only letters")
    assert first != second


def test_a_part_of_a_payment_is_refunded_once(page: Page, admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    order = place_order(alice, (mug, 1)).json()
    payment = record_payment(admin, order, 1990).json()
    sign_in(page, f"#/orders/{order['id']}")

    def lose_response(route: Route) -> None:
        assert route.fetch().status == 201
        route.fulfill(status=502, body="Bad gateway")

    page.route(re.compile("/refunds$"), lose_response, times=1)
    dialog = press(page, "Refund\N{HORIZONTAL ELLIPSIS} \u20ac19.90")
    dialog.get_by_label("Amount").fill("5.005")
    dialog.get_by_role("button", name="Refund").click()
    expect(dialog.get_by_role("alert")).to_contain_text("at most 2 decimals")
    dialog.get_by_label("Amount").fill("5.5")
    dialog.get_by_role("button", name="Refund").click()
    expect(dialog.get_by_role("alert")).to_contain_text("status 502")
    dialog.get_by_role("button", name="Refund").click()

    expect(page.locator("main")).to_contain_text("\u20ac5.50 refunded")
    refunds = admin.get(f"/api/v1/payments/{payment['id']}/refunds").json()["items"]
    assert [550] == [refund["amount"]["amount"] for refund in refunds]


def test_an_order_that_someone_else_has_changed_is_shown_before_it_is_changed(
    page: Page, admin: Client, alice: Client
) -> None:
    (number,) = paid_orders(admin, alice, 1)
    (order,) = admin.get(ORDERS).json()["items"]
    sign_in(page)
    dialog = press(page, f"Ship\N{HORIZONTAL ELLIPSIS} {number}")
    dialog.get_by_label("Tracking number").fill("TYPED-1")
    update_status(admin, order, "SHIPPED", tracking_number="OTHER-2")
    dialog.get_by_role("button", name="Ship", exact=True).click()

    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("You saw: Paid, paid, no tracking number.")
    expect(alert).to_contain_text("Now: Shipped, paid, tracking number OTHER-2.")
    expect(dialog.get_by_label("Tracking number")).to_have_value("TYPED-1")
    dialog.get_by_role("button", name="Close").click()
    dialog = press(page, f"Tracking\N{HORIZONTAL ELLIPSIS} {number}")
    dialog.get_by_label("Tracking number").fill("TYPED-1")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("article.order")).to_contain_text("Tracking: TYPED-1")


def test_a_stock_is_corrected(page: Page, admin: Client) -> None:
    add_product(admin, sku="KETTLE", stock=40)
    mug = add_product(admin, sku="MUG", stock=3)
    sign_in(page, "#/products")
    rows = page.locator("article.row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Only 3 in stock")

    dialog = press(page, "Adjust stock\N{HORIZONTAL ELLIPSIS} MUG")
    dialog.get_by_label("Difference").fill("-4")
    dialog.get_by_label("Reason").select_option("Damaged")
    dialog.get_by_role("button", name="Adjust the stock").click()
    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("The stock is 3")
    expect(alert.locator(".remedy")).not_to_be_empty()
    dialog.get_by_label("Difference").fill("-2")
    page.route(re.compile("/stock-adjustments$"), lose_connection, times=1)
    dialog.get_by_role("button", name="Adjust the stock").click()
    expect(alert).to_contain_text("The server cannot be reached")
    dialog.get_by_role("button", name="Adjust the stock").dblclick()
    expect(page.locator("#message")).to_have_text("MUG: the stock is now 1.")
    assert 1 == get_stock(admin, mug)

    dialog = press(page, "Count\N{HORIZONTAL ELLIPSIS} MUG")
    dialog.get_by_label("Counted units").fill("12")
    adjustment = {"delta": 5, "reason": "RECEIVED"}
    admin.post(f"{PRODUCTS}/{mug['id']}/stock-adjustments", json=adjustment)
    dialog.get_by_role("button", name="Set the stock").click()
    expect(dialog.get_by_role("alert")).to_contain_text("has changed from 1 to 6")
    assert 6 == get_stock(admin, mug)
    dialog.get_by_role("button", name="Set the stock").click()
    expect(rows.first).to_contain_text("12 in stock")
    assert 12 == get_stock(admin, mug)


def test_a_product_is_created_archived_and_restored(page: Page, admin: Client) -> None:
    sign_in(page, "#/products")
    expect(page.locator("main")).to_contain_text("No products match these filters.")
    page.get_by_role("link", name="New product").click()
    page.get_by_label("SKU").fill("mug")
    page.get_by_label("Name").fill("Blue mug")
    page.get_by_label("Price").fill("19,9")
    page.get_by_role("button", name="Create the product").click()
    expect(page.get_by_role("alert")).to_contain_text("sku:")
    page.get_by_label("SKU").fill("MUG")
    page.get_by_role("button", name="Create the product").click()
    expect(page.get_by_role("heading", name="Blue mug")).to_be_visible()
    (product,) = admin.get(PRODUCTS).json()["items"]
    assert {"amount": 1990, "currency": "EUR"} == product["price"]

    press(page, "Archive\N{HORIZONTAL ELLIPSIS} MUG").get_by_role("button", name="Archive").click()
    expect(page.get_by_label("Show")).to_have_value("archived")
    assert [] == admin.get(PRODUCTS).json()["items"]
    page.get_by_role("button", name="Restore MUG").click()
    expect(page.locator("#message")).to_have_text("MUG is on sale again.")
    assert [product["id"]] == [item["id"] for item in admin.get(PRODUCTS).json()["items"]]


def test_after_a_412_both_versions_are_shown_and_the_administrator_chooses(
    page: Page, admin: Client
) -> None:
    mug = add_product(admin, sku="MUG", name="Mug", price=1000, description="Blue.")
    url = f"{PRODUCTS}/{mug['id']}"
    sign_in(page, f"#/products/{mug['id']}")
    page.get_by_label("Name").fill("My mug")
    page.get_by_label("Price").fill("12.00")
    admin.patch(url, json={"name": "Their mug", "description": "Green."})
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Someone else has changed")).to_be_focused()
    name, price = page.get_by_role("group", name="Name"), page.get_by_role("group", name="Price")
    description = page.get_by_role("group", name="Description")
    expect(name).to_contain_text("My mug")
    expect(name).to_contain_text("Their mug")
    expect(price.get_by_label("Yours")).to_be_checked()
    expect(description.get_by_label("Saved by someone else")).to_be_checked()
    name.get_by_label("Saved by someone else").check()
    admin.patch(url, json={"sku": "MUG-2"})  # once more
    page.get_by_role("button", name="Save the chosen values").click()
    expect(page.get_by_role("group", name="SKU")).to_contain_text("MUG-2")
    page.get_by_role("button", name="Save the chosen values").click()

    expect(page.locator("#message")).to_have_text("The product is saved.")
    saved = admin.get(url).json()
    assert ("MUG-2", "Their mug", "Green.", 1200) == (
        saved["sku"],
        saved["name"],
        saved["description"],
        saved["price"]["amount"],
    )


def test_a_file_of_200_products_is_checked_corrected_and_imported(
    page: Page, admin: Client
) -> None:
    good = [f"CUP-{number},Cup {number},{number + 1}.50,7" for number in range(200)]
    bad = [*good]
    bad[10], bad[50], bad[199] = "CUP 10,Cup,1,7", "CUP-50,Cup,free,7", "CUP-199,Cup,1,-7"
    sign_in(page, "#/files")
    choose_file(page, bad)
    page.get_by_role("button", name="Check the file").click()

    result = page.locator("#import-result")
    expect(result).to_contain_text("The file has 3 faulty lines")
    lines = [int(line) for line in result.locator("tbody td:first-child").all_inner_texts()]
    assert [12, 52, 201] == sorted(set(lines))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(result).to_contain_text("Nothing was imported: 3 faulty lines")
    assert [] == admin.get(PRODUCTS).json()["items"]

    choose_file(page, good)
    page.get_by_role("button", name="Check the file").click()
    expect(result).to_contain_text("200 products would be created, 0 updated, 0 unchanged.")
    assert [] == admin.get(PRODUCTS).json()["items"]
    page.get_by_role("button", name="Import", exact=True).click()
    expect(result).to_contain_text("200 products were created, 0 updated, 0 unchanged.")

    with page.expect_download() as download:
        page.get_by_role("button", name="Export products").click()
    assert 201 == len(download.value.path().read_text().splitlines())
    page.get_by_role("link", name="Products", exact=True).click()
    page.get_by_role("button", name="Load more").click()
    expect(page.locator("article.row")).to_have_count(40)


def test_a_customer_is_found_and_disabled_and_the_security_log_shows_it(
    page: Page, admin: Client, alice: Client, bob: Client
) -> None:
    mug = add_product(admin)
    number = place_order(alice, (mug, 1)).json()["number"]
    sign_in(page, "#/customers")
    expect(page.locator("article.row")).to_have_count(3)
    page.get_by_label("Name or email").fill("alice")
    expect(page.locator("article.row")).to_have_count(1)
    page.get_by_role("link", name="Alice").click()
    expect(page.locator("article.order")).to_contain_text(number)

    dialog = press(page, "Disable the account\N{HORIZONTAL ELLIPSIS}")
    dialog.get_by_role("button", name="Disable").click()

    expect(page.locator("main")).to_contain_text("Disabled")
    assert 401 == alice.post("/api/v1/auth/refresh").status_code
    page.get_by_role("link", name="Security log of this user").click()
    event = page.locator("[data-type=USER_DISABLED]")
    expect(event).to_contain_text("Alice, by Ada Admin")
    page.get_by_role("combobox", name="Event").select_option("User enabled")
    expect(page.locator("main")).to_contain_text("No events match these filters.")


@pytest.mark.parametrize(
    ("view", "selector"),
    [
        ("#/orders", "article.order"),
        ("#/orders/{order}", "dd"),
        ("#/products", "article.row"),
        ("#/products/{product}", "h1"),
        ("#/customers", "article.row"),
        ("#/customers/{user}", "h1"),
        ("#/security", "article.row"),
    ],
)
def test_hostile_names_are_shown_as_text(
    page: Page, admin: Client, alice: Client, view: str, selector: str
) -> None:
    mug = add_product(admin, name=HOSTILE, description=HOSTILE)
    assert 200 == alice.patch("/api/v1/users/me", json={"name": HOSTILE[:100]}).status_code
    order = place_order(alice, (mug, 1), note=HOSTILE).json()
    ids = {"order": order["id"], "product": mug["id"], "user": order["user_id"]}
    sign_in(page, view.format(**ids))

    expect(page.locator(selector, has_text=HOSTILE[:40]).first).to_be_visible()
    assert 0 == page.locator("img").count()
    expect(page).to_have_title(re.compile("Orderly administration"))
