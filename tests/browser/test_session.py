"""A browser's session cookies from sign-in to sign-out, with and without Secure cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.accounts import PASSWORD
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

CALL = """async ([method, path, body]) => {
    const response = await fetch("/api/v1" + path, {
        method,
        headers: body ? {"Content-Type": "application/json"} : {},
        body: body ? JSON.stringify(body) : undefined,
    });
    return [response.status, await response.text()];
}"""

Call = Callable[..., tuple[int, str]]
ADA = {"email": "ada@example.com", "password": PASSWORD}


@pytest.fixture(params=["false", "true"], ids=["plain", "secure"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "true")


@pytest.fixture
def page(
    browser: Browser, database_url: str, tmp_path_factory: pytest.TempPathFactory, secure: bool
) -> Iterator[Page]:
    """Open a page of a server with or without Secure cookies."""
    with run_server(
        tmp_path_factory.mktemp("browser") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE=str(secure).lower(),
        ORDERLY_VALIDATE_RESPONSES="true",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        # Browsers treat localhost as a secure context and accept Secure cookies from it.
        context = browser.new_context(base_url=f"http://localhost:{server.port}")
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto("/problems")
        yield page
        context.close()


@pytest.fixture
def call(page: Page) -> Call:
    """Return a function that calls the API from a script of the page."""

    def call(method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, text = page.evaluate(CALL, [method, path, body])
        return status, text

    return call


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other_port() -> Iterator[int]:
    """Serve an empty page from another port; return the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def cookies(page: Page) -> dict[str, dict[str, Any]]:
    return {cookie["name"]: dict(cookie) for cookie in page.context.cookies()}


def test_a_session_from_sign_in_to_sign_out(page: Page, call: Call, secure: bool) -> None:
    names = ("__Host-orderly_access", "__Secure-orderly_refresh")
    access, refresh = names if secure else ("orderly_access", "orderly_refresh")
    assert 201 == call("POST", "/auth/register", {**ADA, "name": "Ada"})[0]
    assert 401 == call("GET", "/users/me")[0]

    assert 200 == call("POST", "/auth/login", ADA)[0]

    first = cookies(page)
    assert {access, refresh} == first.keys()
    assert ("/", "/api/v1/auth") == (first[access]["path"], first[refresh]["path"])
    for cookie in first.values():
        assert (True, "Lax", secure) == (
            cookie["httpOnly"],
            cookie["sameSite"],
            cookie["secure"],
        )
        assert cookie["expires"] > 0
    assert "" == page.evaluate("document.cookie")
    status, text = call("GET", "/users/me")
    assert 200 == status
    assert "ada@example.com" in text

    assert 200 == call("POST", "/auth/refresh")[0]

    second = cookies(page)
    assert {access, refresh} == second.keys()
    assert all(first[name]["value"] != second[name]["value"] for name in first)
    assert 200 == call("GET", "/users/me")[0]

    assert 204 == call("POST", "/auth/logout")[0]

    assert {} == cookies(page)
    assert 401 == call("GET", "/users/me")[0]
    assert 401 == call("POST", "/auth/refresh")[0]
    # The old cookies are no longer valid, even if they were copied.
    page.context.add_cookies([second[access], second[refresh]])
    assert 401 == call("GET", "/users/me")[0]
    assert 401 == call("POST", "/auth/refresh")[0]


def test_a_page_of_another_site_cannot_use_the_session(
    browser: Browser, page: Page, call: Call
) -> None:
    call("POST", "/auth/register", {**ADA, "name": "Ada"})
    call("POST", "/auth/login", ADA)
    origin = page.url.removesuffix("/problems")
    # The browser sees 127.0.0.1 as another site than localhost, although the server is the same.
    page.goto(page.url.replace("localhost", "127.0.0.1"))

    outcome = page.evaluate(
        """async (url) => {
            try {
                return (await fetch(url, {method: "POST", credentials: "include"})).status;
            } catch (error) {
                return String(error);
            }
        }""",
        f"{origin}/api/v1/auth/logout",
    )

    assert "TypeError" in outcome  # CORS blocks the script from the response
    page.goto(f"{origin}/problems")
    assert 200 == call("GET", "/users/me")[0]


def test_a_page_of_another_port_cannot_use_the_session(
    page: Page, call: Call, other_port: int
) -> None:
    call("POST", "/auth/register", {**ADA, "name": "Ada"})
    call("POST", "/auth/login", ADA)
    origin = page.url.removesuffix("/problems")
    # For browsers, all ports of a host are the same site: they send SameSite cookies to each.
    page.goto(f"http://localhost:{other_port}/")

    with page.expect_response(f"{origin}/api/v1/auth/logout") as sent:
        page.evaluate(
            """(url) => fetch(url, {method: "POST", mode: "no-cors", credentials: "include"})""",
            f"{origin}/api/v1/auth/logout",
        )

    assert 403 == sent.value.status  # without the cookies, it would be 401
    page.goto(f"{origin}/problems")
    assert 200 == call("GET", "/users/me")[0]
