"""Fixtures for checks of pages with axe-core, in a demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from tests.support.accounts import DEMO_ADMIN
from tests.support.chromium import run_chromium
from tests.support.processes import ROOT, TIMEOUT_SECONDS, Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

AXE = ROOT / "tests/accessibility/node_modules/axe-core/axe.min.js"
# WCAG 2.2 at levels A and AA, and axe's best practices.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async (tags) => {
    const result = await axe.run(document, {runOnly: tags});
    const failures = [];
    for (const {id, help, nodes} of result.violations)
        for (const {target, any, all, none} of nodes)
            failures.push({
                rule: id,
                help,
                target: target.join(" "),
                isSwagger: Boolean(document.querySelector(target[0])?.closest("#swagger-ui")),
                reason: [...any, ...all, ...none].map((check) => check.message).join(" "),
            });
    return failures;
}"""

Failure = dict[str, Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with run_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a demo."""
    directory = tmp_path_factory.mktemp("demo") / "data"
    with run_server(directory, "--demo", **NO_RATE_LIMIT_VARIABLES) as server:
        yield server


@pytest.fixture(scope="session")
def admin(demo: Server) -> Iterator[httpx2.Client]:
    """Return a client signed in as the demo's administrator."""
    with httpx2.Client(base_url=demo.url, timeout=TIMEOUT_SECONDS) as client:
        assert 200 == client.post("/api/v1/auth/login", json=DEMO_ADMIN).status_code
        yield client


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["light", "dark"])
def page(
    browser: Browser, demo: Server, width: int, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """Open a page in which axe-core is loaded."""
    assert AXE.exists(), "npm ci --prefix tests/accessibility"
    context = browser.new_context(
        base_url=demo.url,
        color_scheme=request.param,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    context.add_init_script(path=Path(AXE))
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_SECONDS * 1000)
    yield page
    context.close()


def failures(page: Page) -> list[Failure]:
    """Return what violates the rules on the page as it is."""
    found: list[Failure] = page.evaluate(_RUN, _TAGS)
    return found


def width_of_content(page: Page) -> int:
    """Return how wide the page is: wider than the window, if it scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth"))
