"""Response headers that restrict what a browser does with a response."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from httpx2 import Client

from tests.support.processes import run_server

PAGES = (
    "/",
    "/docs",
    "/changelog",
    "/problems",
    "/workflows",
    "/examples/storefront/",
    "/admin/",
    "/docs/",
    "/docs/nothing",
)
FILES = (
    "/docs/swagger-ui-bundle.js",
    "/docs/oauth2-redirect.html",
    "/docs/start.js",
    "/style.css",
    "/openapi.json",
    "/openapi.yaml",
    "/nothing",
)
HEALTH = ("/health/live", "/health/ready")
API = ("/api/v1/products", "/api/v1/users/me", "/api/v1/nothing", "/api/v1/products/1")


@pytest.fixture(scope="module")
def https_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a server whose cookies are Secure."""
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with (
        run_server(data_dir, ORDERLY_COOKIE_SECURE="true") as server,
        Client(base_url=server.url) as client,
    ):
        yield client


@pytest.mark.parametrize("path", [*PAGES, *FILES, *HEALTH, *API])
def test_every_response_forbids_sniffing_and_sends_no_referrer_to_other_sites(
    anonymous: Client, path: str
) -> None:
    headers = anonymous.get(path).headers

    assert ["nosniff"] == headers.get_list("x-content-type-options")
    assert ["same-origin"] == headers.get_list("referrer-policy")
    assert 1 == len(headers.get_list("content-security-policy"))


@pytest.mark.parametrize("path", [*PAGES, *FILES])
def test_pages_load_scripts_only_from_this_server_and_no_site_may_frame_them(
    anonymous: Client, path: str
) -> None:
    policy = anonymous.get(path).headers["content-security-policy"].split("; ")

    assert {
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    } <= set(policy)
    assert not any("script-src" in directive for directive in policy)
    # Swagger UI sets inline styles.
    assert path.startswith("/docs") == any("'unsafe-inline'" in directive for directive in policy)
    assert path.startswith("/docs") != ("require-trusted-types-for 'script'" in policy)


@pytest.mark.parametrize("path", API)
def test_responses_of_the_api_can_load_nothing(anonymous: Client, path: str) -> None:
    assert (
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        == (anonymous.get(path).headers["content-security-policy"])
    )


def test_other_statuses_have_the_headers_too(anonymous: Client) -> None:
    etag = anonymous.get("/docs").headers["etag"]
    responses = [
        anonymous.post("/api/v1/auth/login", content="{"),
        anonymous.post("/api/v1/products"),
        anonymous.delete("/api/v1/orders"),
        anonymous.options("/api/v1/orders"),
        anonymous.get("/docs", headers={"If-None-Match": etag}),
        anonymous.head("/docs"),
    ]

    assert {415, 401, 405, 304, 200} == {response.status_code for response in responses}
    for response in responses:
        assert "nosniff" == response.headers["x-content-type-options"]
        assert "content-security-policy" in response.headers


def test_a_response_to_invalid_http_has_the_headers_too(base_url: str) -> None:
    port = urlsplit(base_url).port
    assert port is not None
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as client:
        client.sendall(b"not HTTP\r\n\r\n")
        response = client.makefile("rb").read()

    assert b"HTTP/1.1 400 " == response[:13]
    assert b"\r\nx-content-type-options: nosniff\r\n" in response


def test_only_a_server_with_secure_cookies_requires_https(
    anonymous: Client, https_only: Client
) -> None:
    for path in ("/docs", "/docs/swagger-ui.css", "/health/live", *API):
        assert "strict-transport-security" not in anonymous.get(path).headers
        assert ["max-age=31536000; includeSubDomains"] == (
            https_only.get(path).headers.get_list("strict-transport-security")
        )
