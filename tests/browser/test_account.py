"""The example storefront's account pages, with the mails of the sandbox."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client
from playwright.sync_api import Browser, Page, expect

from services import users
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import add_product

ADDRESS = "/examples/storefront/"
EMAIL, NEW_EMAIL = "ada@example.com", "countess@example.com"
NEW_PASSWORD = "seven quiet herons at dusk"


@pytest.fixture(params=["false", "true"], ids=["optional", "required"])
def required(request: pytest.FixtureRequest) -> str:
    """Return whether the shop requires verified addresses."""
    return str(request.param)


@pytest.fixture
def server(required: str, database_url: str, tmp_path: Path) -> Iterator[Server]:
    """Run a shop that keeps its mails, and sends them by its own worker."""
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_STOREFRONT="true",
        ORDERLY_SANDBOX_MAIL="true",
        ORDERLY_VERIFIED_EMAIL_REQUIRED=required,
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a page; save a screenshot at its end if PYTEST_SCREENSHOTS names a folder."""
    context = browser.new_context(base_url=server.url, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    context.close()
    assert [] == errors


def screenshot(page: Page, name: str) -> None:
    """Save a screenshot in the middle of a test."""
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def message(page: Page, text: str) -> None:
    expect(page.locator("#message")).to_contain_text(text)


def sign_up(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(EMAIL)
    page.locator("dialog").get_by_label("Password").fill(PASSWORD)
    page.locator("dialog").get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="Sign up").click()


def sign_in(page: Page, email: str = EMAIL, password: str = PASSWORD) -> None:
    if not page.locator("#sign-in-dialog").is_visible():
        page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(email)
    page.locator("dialog").get_by_label("Password").fill(password)
    page.locator("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).to_have_text("Ada")


def follow_link(page: Page, subject: str) -> None:
    """Open the newest mail with this subject, as a person does, and click on its link."""
    page.goto("/sandbox/mail")
    page.locator("summary", has_text=subject).first.click()
    page.frame_locator(f"iframe[title='{subject}']").locator("a[href*='#']").click()
    page.wait_for_url("**/examples/storefront/**")


def confirm_address(page: Page, subject: str) -> None:
    follow_link(page, subject)
    expect(page.get_by_role("heading", name="Confirm your email address")).to_be_visible()
    page.get_by_role("button", name="Confirm").click()
    message(page, "Your email address is confirmed.")


def test_from_a_forgotten_password_to_signed_in_again(page: Page, server: Server) -> None:
    body = {"email": EMAIL, "name": "Ada", "password": PASSWORD}
    server.post("/api/v1/auth/register", body)
    page.goto(ADDRESS)
    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(EMAIL)
    screenshot(page, "sign-in")
    page.get_by_role("button", name="Forgot password").click()
    message(page, "you get a mail with a link")

    follow_link(page, "Set a new password")
    screenshot(page, "reset-password")
    assert page.url.endswith("#reset-password")  # the token is not in the address any more
    page.get_by_label("New password").fill("password1234")
    page.get_by_role("button", name="Set password").click()
    message(page, "it is too easy to guess")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set password").click()
    message(page, "Your new password is set.")

    sign_in(page, password=NEW_PASSWORD)


def test_a_new_user_confirms_the_address_and_changes_it(page: Page, required: str) -> None:
    page.goto(ADDRESS)
    sign_up(page)
    signed_in = required == "false"
    message(page, "Welcome, Ada" if signed_in else "We have sent a mail to ada@example.com")
    confirm_address(page, "Confirm your email address")
    if not signed_in:
        sign_in(page)
    page.get_by_role("link", name="Account").click()
    expect(page.locator("#account-content")).to_contain_text("This address is confirmed.")
    screenshot(page, "account")

    page.get_by_label("New email").fill(NEW_EMAIL)
    page.locator("#change-email-form").get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Change").click()
    message(page, "We send a mail to countess@example.com.")

    confirm_address(page, "Confirm your new email address")
    expect(page.locator("#account-content")).to_contain_text(NEW_EMAIL)


def test_a_link_that_was_used_says_what_to_do(page: Page) -> None:
    page.goto(f"{ADDRESS}#verify-email=Zm9yLWV4YW1wbGUtb25seS1ub3QtYS1yZWFsLW1haWw")
    page.get_by_role("button", name="Confirm").click()

    expect(page.locator("#message .bad")).to_contain_text("The token is unknown, expired or used")


@pytest.fixture
def mug(shop: str, server: Server) -> dict[str, Any]:
    """Return a product."""
    del shop
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    with Client(base_url=server.url) as admin:
        assert admin.post("/api/v1/auth/login", json={"email": email, "password": password})
        return add_product(admin)


def test_a_customer_downloads_all_data_and_deletes_the_account(
    page: Page, required: str, mug: dict[str, Any]
) -> None:
    page.goto(ADDRESS)
    sign_up(page)
    message(page, "Welcome, Ada" if required == "false" else "We have sent a mail")
    confirm_address(page, "Confirm your email address")
    if required == "true":
        sign_in(page)
    page.goto(f"{ADDRESS}#products")
    page.locator(f"[data-sku='{mug['sku']}'] button").click()
    page.get_by_role("link", name="Cart").click()
    page.get_by_label("Pick up in the shop").check()
    page.get_by_role("button", name="Place order").click()
    message(page, "Thank you! Your order")
    number = page.locator("#order-list h2").inner_text()

    page.get_by_role("link", name="Account").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download my data").click()
    assert "personal-data.json" == download.value.suggested_filename
    exported = json.loads(download.value.path().read_text())
    assert (EMAIL, [number]) == (
        exported["user"]["email"],
        [record["order"]["number"] for record in exported["orders"]],
    )

    form = page.locator("#delete-account-form")
    form.get_by_label("Current password").fill(PASSWORD)
    screenshot(page, f"delete-account-{required}")
    form.get_by_role("button").click()
    message(page, number)
    page.get_by_role("link", name="My orders").click()
    page.get_by_role("button", name="Cancel order").click()
    message(page, f"Order {number} is cancelled.")

    page.get_by_role("link", name="Account").click()
    form.get_by_label("Current password").fill("not the password")
    form.get_by_role("button").click()
    message(page, "The current password is incorrect.")
    form.get_by_label("Current password").fill(PASSWORD)
    form.get_by_role("button").click()
    message(page, "Your account is deleted.")
    expect(page.locator("#user-name")).to_have_text("")

    page.get_by_role("button", name="Sign in").click()
    page.locator("dialog").get_by_label("Email").fill(EMAIL)
    page.locator("dialog").get_by_label("Password").fill(PASSWORD)
    page.locator("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#sign-in-error")).to_have_text("The email or the password is incorrect.")
    only_the_last_mail_is_kept(page)


def only_the_last_mail_is_kept(page: Page) -> None:
    """Wait until the worker has erased the mails to the address and sent the last one."""
    last = page.locator("summary", has_text="Your account was deleted")
    page.goto("/sandbox/mail")
    while not last.count():
        page.reload()
    expect(page.locator("summary")).to_have_count(1)
