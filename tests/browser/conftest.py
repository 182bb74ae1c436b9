"""Fixtures for tests with a real Chromium and a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.support.chromium import run_chromium

_TIMEOUT_MILLISECONDS = 20_000

# Playwright's default of five seconds is too short for a busy machine.
expect.set_options(timeout=_TIMEOUT_MILLISECONDS)


# Package scope: Playwright keeps an event loop running in this thread until the browser is closed,
# and the tests of other folders must not run inside it.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with run_chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    """Open a page; after the test, fail if a script raised an error or a request failed."""
    context = browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MILLISECONDS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.extend(_request_errors(request)))
    yield page
    context.close()
    assert [] == errors


def _request_errors(request: Request) -> list[str]:
    # The browser aborts pending requests when a page is left: that is no error.
    aborted = request.failure == "net::ERR_ABORTED"
    return [] if aborted else [f"{request.url}: {request.failure}"]
