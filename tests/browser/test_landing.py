"""The landing page, with and without scripts, in light and dark mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

BACKGROUND_COLOR = "body => getComputedStyle(body).backgroundColor"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_links_work_without_scripts(
    browser: Browser, base_url: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        base_url=base_url,
        java_script_enabled=False,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    page.goto("/")
    if folder := os.environ.get("PYTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"landing-{scheme}-{width}.png", full_page=True)
        page.goto("/changelog")
        page.screenshot(path=Path(folder) / f"changelog-{scheme}-{width}.png")
        page.goto("/")
    expect(page.get_by_role("heading", name="Orderly")).to_be_visible()
    overflows = page.locator("html").evaluate("page => page.scrollWidth > page.clientWidth")
    assert not overflows
    background = page.locator("body").evaluate(BACKGROUND_COLOR)

    for name, heading in (
        ("Changelog", "Changelog"),
        ("Problem types", "Problem types"),
    ):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        assert background == page.locator("body").evaluate(BACKGROUND_COLOR)
        page.get_by_role("link", name="Home").click()
    page.get_by_role("link", name="Health").click()
    expect(page.locator("body")).to_contain_text('"ok"')
    context.close()


def test_a_link_to_an_operation_opens_it_in_the_docs(page: Page) -> None:
    page.goto("/")

    page.get_by_role("link", name="Place an order").click()

    expect(page.locator(".opblock[id$='-create_order']")).to_have_class(
        "opblock opblock-post is-open"
    )


def test_the_document_can_be_downloaded(page: Page) -> None:
    page.goto("/")

    with page.expect_download() as download:
        page.get_by_role("link", name="openapi.yaml").click()

    assert "openapi.yaml" == download.value.suggested_filename
    assert download.value.path().read_text().startswith("openapi: 3.0.3")


def test_the_url_of_a_problem_type_leads_to_its_entry(page: Page) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))

    page.goto("/problems#insufficient_stock")

    expect(page.locator("section:target h2")).to_have_text("Not enough stock")
    expect(page.locator("section:target h2")).to_be_in_viewport()
    page.wait_for_load_state("networkidle")
    assert [] == messages
