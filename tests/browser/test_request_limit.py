"""The pages show that their client has sent too many requests (429)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.accounts import DEMO_ADMIN
from tests.support.processes import Server, run_server

PRODUCTS = "/api/v1/products"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a demo whose limit is enough for a page, and not for the requests of `too_many`."""
    with run_server(tmp_path / "data", "--demo", ORDERLY_REQUEST_LIMIT="80") as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Open a page of that server."""
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


@contextmanager
def too_many_requests(server: Server) -> Iterator[None]:
    """Send requests from the address of the browser, so that those of the page are refused too."""
    stopped, refused = threading.Event(), threading.Event()

    def send() -> None:
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            while not stopped.is_set():
                if client.get(f"{PRODUCTS}?limit=1").status_code == 429:
                    refused.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert refused.wait(60)
        yield
    finally:
        stopped.set()
        thread.join()


def repeat_until_refused(action: Callable[[], None], notice: Locator) -> None:
    """Repeat an action in the page until its notice is visible: a request can get the last unit."""
    for _ in range(20):
        action()
        try:
            expect(notice).to_be_visible(timeout=2000)
        except AssertionError:
            continue
        return
    raise AssertionError("no request of the page was refused")


def test_the_storefront_says_that_there_were_too_many_requests(page: Page, server: Server) -> None:
    page.goto("/examples/storefront/")
    expect(page.get_by_role("searchbox")).to_be_visible()
    notice = page.locator("#message .bad")

    def search() -> None:
        page.get_by_role("searchbox").fill("mug")
        page.get_by_role("searchbox").press("Enter")

    with too_many_requests(server):
        repeat_until_refused(search, notice)

    expect(notice).to_contain_text("Too many requests from your network. Try again in 1 seconds.")


def test_the_administration_page_says_what_to_do(page: Page, server: Server) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").fill(DEMO_ADMIN["email"])
    page.get_by_label("Password").fill(DEMO_ADMIN["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#user-name")).not_to_be_empty()
    notice = page.locator(".notice.bad")

    def open_products() -> None:
        page.get_by_role("link", name="Orders", exact=True).click()
        page.get_by_role("link", name="Products", exact=True).click()

    with too_many_requests(server):
        repeat_until_refused(open_products, notice)

    expect(notice).to_contain_text("Too many requests from your network")
    expect(notice).to_contain_text("then try again")
