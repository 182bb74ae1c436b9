"""Readers show the served document with a usable navigation, and without errors."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.generators.catalogue import DIRECTORY, READERS, ROOT
from tests.generators.table import HEADINGS, NAVIGATION, NO_ERRORS, Table
from tests.support.chromium import run_chromium
from tests.support.processes import Server

SCREENSHOTS = ROOT / "test-output/readers"
TIMEOUT_MS = 60_000.0
SWAGGER_UI, REDOC, SCALAR = (name for name, _ in READERS)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # of the base class
        pass


@pytest.fixture(scope="module")
def static_url() -> Iterator[str]:
    """Serve this folder, which has the pages of the readers and the packages."""
    handler = functools.partial(_Handler, directory=DIRECTORY)
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser."""
    with run_chromium() as running:
        yield running


@pytest.fixture
def errors() -> list[str]:
    """Return the list of the errors of the page."""
    return []


@pytest.fixture
def page(browser: Browser, errors: list[str]) -> Iterator[Page]:
    """Open a page that collects its errors, and reaches only this machine."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if message.type == "error" else None,
    )
    # The logo of Redoc.
    page.route(re.compile(r"^https?://(?!localhost:)"), _send_empty_picture)
    yield page
    context.close()


def _send_empty_picture(route: Route) -> None:
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
    route.fulfill(content_type="image/svg+xml", body=picture)


@pytest.fixture(scope="module")
def contract(document: Path) -> dict[str, Any]:
    """Return the served document."""
    parsed: dict[str, Any] = json.loads(document.read_text())
    return parsed


def headings(contract: dict[str, Any]) -> list[str]:
    """Return the headings of the description."""
    return re.findall(r"^## (.+)$", contract["info"]["description"], re.MULTILINE)


def display_names(contract: dict[str, Any]) -> list[str]:
    """Return the titles of the tags."""
    return [tag["x-displayName"] for tag in contract["tags"]]


def finish(page: Page, name: str, errors: list[str], table: Table) -> None:
    """Take a screenshot, and check that there was no error."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name.split(maxsplit=1)[0].lower()}.png")
    assert [] == errors
    table.add(name, NO_ERRORS)


def test_redoc(
    page: Page,
    static_url: str,
    demo: Server,
    contract: dict[str, Any],
    errors: list[str],
    table: Table,
) -> None:
    page.goto(f"{static_url}/readers/redoc.html?document={demo.url}/openapi.json")

    entries = page.locator("li[role=menuitem] > label.-depth1")
    expected = [*headings(contract), *display_names(contract)]
    expect(entries).to_have_text(expected, timeout=TIMEOUT_MS)
    table.add(REDOC, NAVIGATION)
    shown = page.locator("h2").all_inner_texts()
    assert headings(contract) == [text.strip() for text in shown][: len(headings(contract))]
    table.add(REDOC, HEADINGS)
    finish(page, REDOC, errors, table)


def test_scalar(
    page: Page,
    static_url: str,
    demo: Server,
    contract: dict[str, Any],
    errors: list[str],
    table: Table,
) -> None:
    page.goto(f"{static_url}/readers/scalar.html?document={demo.url}/openapi.json")

    navigation = page.get_by_role("complementary")
    for name in display_names(contract):
        expect(navigation.get_by_text(name, exact=True).first).to_be_visible(timeout=TIMEOUT_MS)
    table.add(SCALAR, NAVIGATION)
    for heading in headings(contract):
        expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_attached()
    table.add(SCALAR, HEADINGS)
    finish(page, SCALAR, errors, table)


def test_swagger_ui(
    page: Page, demo: Server, contract: dict[str, Any], errors: list[str], table: Table
) -> None:
    page.goto(f"{demo.url}/docs")

    # Swagger UI shows the names of tags, not their titles.
    groups = page.locator(".opblock-tag")
    expect(groups).to_have_count(len(contract["tags"]), timeout=TIMEOUT_MS)
    assert [tag["name"] for tag in contract["tags"]] == groups.evaluate_all(
        "groups => groups.map((group) => group.dataset.tag)"
    )
    table.add(SWAGGER_UI, NAVIGATION)
    shown = page.locator(".information-container h2, .information-container h3")
    texts = [text.strip() for text in shown.all_text_contents()]
    assert set(headings(contract)) <= set(texts)
    table.add(SWAGGER_UI, HEADINGS)
    finish(page, SWAGGER_UI, errors, table)
