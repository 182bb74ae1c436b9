"""A real Chromium against a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.api.conftest import admin, alice, anyone, base_url, new_client, sign_in

__all__ = ["admin", "alice", "anyone", "base_url", "new_client", "sign_in"]


_PATIENCE_MILLISECONDS = 20_000

# A page that comes late is no fault, nor are the five seconds that Playwright expects things in.
expect.set_options(timeout=_PATIENCE_MILLISECONDS)


# Closed after the last test of this folder: Playwright keeps an event loop running meanwhile.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable, "the browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MILLISECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.extend(_faults(request)))
    yield page
    context.close()
    assert [] == faults


def _faults(request: Request) -> list[str]:
    # What the browser gives up by itself, as a page is left, is no fault.
    given_up = request.failure == "net::ERR_ABORTED"
    return [] if given_up else [f"{request.url}: {request.failure}"]
