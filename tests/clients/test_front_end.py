"""A page on Vite's development server, used in Chromium: docs/how-to/front-end.md."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.clients.test_typescript import NODE, NPM
from tests.support.chromium import run_chromium
from tests.support.client_programs import run_program
from tests.support.processes import Server, free_port, run_server, wait_until

_SECONDS = 60


@pytest.fixture(scope="module")
def project(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example in which Vite is installed."""
    project = shutil.copytree(
        examples / "vite",
        tmp_path_factory.mktemp("front-end") / "vite",
        ignore=shutil.ignore_patterns("node_modules"),
    )
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    run_program(
        [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], project, PATH=path
    )
    return project


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser."""
    with run_chromium() as running:
        yield running


@contextmanager
def run_vite(project: Path, **variables: str) -> Iterator[str]:
    """Run the development server; yield its address."""
    port = free_port()
    log = project / "vite.log"
    command = [NODE, "node_modules/vite/bin/vite.js", "--port", str(port), "--strictPort"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=project,
            env={**os.environ, "NO_COLOR": "1", **variables},  # Vite has colors where CI is set
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "Local:" in log.read_text() or process.poll() is not None, _SECONDS)
        assert process.poll() is None, log.read_text()
        yield f"http://localhost:{port}/"
    finally:
        process.kill()
        process.wait()


def order_a_grinder(browser: Browser, address: str) -> None:
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button").click()
        expect(page.locator("output")).to_contain_text("is PENDING", timeout=_SECONDS * 1000)
    finally:
        context.close()


def test_a_page_on_its_own_port_signs_in_and_orders(
    project: Path, browser: Browser, demo: Server
) -> None:
    assert demo.url.startswith("http://localhost:")
    with run_vite(project, VITE_API=f"{demo.url}/api/v1") as address:
        order_a_grinder(browser, address)


def test_a_page_can_use_the_proxy_of_the_development_server(
    project: Path, browser: Browser, demo: Server
) -> None:
    with run_vite(project, VITE_API="/api/v1", ORDERLY_URL=demo.url) as address:
        order_a_grinder(browser, address)


def test_a_page_on_a_port_that_is_not_allowed_cannot_use_the_api(
    project: Path, browser: Browser, tmp_path: Path
) -> None:
    """Without this, the first test would prove nothing about CORS."""
    setting = {"ORDERLY_CORS_ORIGINS": "https://shop.example.com"}
    with (
        run_server(tmp_path / "data", "--demo", **setting) as server,
        run_vite(project, VITE_API=f"{server.url}/api/v1") as address,
    ):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        with page.expect_event("requestfailed"):
            page.get_by_role("button").click()
        assert "" == page.locator("output").inner_text()
        context.close()
