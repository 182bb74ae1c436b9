"""Compressed responses: lists, CSV files, the document and pages, but nothing with secrets."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from httpx2 import Client, Response

from tests.support.accounts import ADMIN
from tests.support.shop import ORDERS, PRODUCTS, add_product, place_order

USERS = "/api/v1/users"
NOTE = "Please ring twice. " * 20

Raw = tuple[Response, bytes]


@pytest.fixture
def products(admin: Client) -> list[dict[str, Any]]:
    """Create products that fill more than a packet."""
    return [add_product(admin, sku=f"MUG-{number}") for number in range(20)]


def fetch(
    client: Client, path: str, accept_encoding: str = "gzip", method: str = "GET", **headers: str
) -> Raw:
    """Send a request; return the response, and its body as it was sent."""
    headers["Accept-Encoding"] = accept_encoding
    with client.stream(method, path, headers=headers) as response:
        return response, b"".join(response.iter_raw())


def assert_compressed(client: Client, path: str) -> Response:
    """Check that a compressed response has the same body as one that is not; return it."""
    response, raw = fetch(client, path)
    plain, content = fetch(client, path, "identity")

    assert (200, "gzip") == (response.status_code, response.headers["content-encoding"])
    assert "content-encoding" not in plain.headers
    assert content == gzip.decompress(raw)
    assert len(raw) < len(content)
    for one in (response, plain):
        assert "Accept-Encoding" in one.headers["vary"]
    for name in ("content-type", "link", "content-disposition", "cache-control"):
        assert plain.headers.get(name) == response.headers.get(name)
    return response


def test_lists_are_compressed(
    admin: Client, alice: Client, products: list[dict[str, Any]], sign_in: Any
) -> None:
    order = place_order(alice, *((product, 1) for product in products), note=NOTE).json()
    for _ in range(3):
        place_order(alice, (products[0], 1), note=NOTE)
        sign_in(*ADMIN)

    for path in (
        PRODUCTS,
        f"{PRODUCTS}/{products[0]['id']}/stock-movements",
        ORDERS,
        "/api/v1/security-events",
    ):
        response = assert_compressed(admin, path)
        assert str(response.num_bytes_downloaded) == response.headers["content-length"]
    assert_compressed(alice, ORDERS)
    assert "content-encoding" not in fetch(alice, f"{ORDERS}/{order['id']}")[0].headers


@pytest.mark.parametrize("path", [f"{PRODUCTS}/export", f"{ORDERS}/export"])
def test_csv_files_are_compressed_while_they_are_sent(
    admin: Client, alice: Client, products: list[dict[str, Any]], path: str
) -> None:
    for product in products:
        place_order(alice, (product, 1), note=NOTE)

    response = assert_compressed(admin, path)

    assert "chunked" == response.headers["transfer-encoding"]
    assert response.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/openapi.json", "/openapi.yaml", "/problems", "/changelog", "/style.css"),
        *("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/examples/storefront/"),
        *("/admin/", "/admin/api.js"),
    ],
)
def test_pages_and_the_document_are_compressed(anonymous: Client, path: str) -> None:
    response = assert_compressed(anonymous, path)

    for method in ("GET", "HEAD"):
        again, raw = fetch(anonymous, path, method=method)
        assert response.headers["etag"] == again.headers["etag"]
        assert response.headers["content-length"] == again.headers["content-length"]
        assert (method == "HEAD") is (raw == b"")


@pytest.mark.parametrize("path", [PRODUCTS, "/openapi.json"])
def test_the_compressed_body_has_its_own_entity_tag(
    admin: Client, products: list[dict[str, Any]], path: str
) -> None:
    del products
    compressed = fetch(admin, path)[0].headers["etag"]
    plain = fetch(admin, path, "identity")[0].headers["etag"]
    assert f'{plain[:-1]}-gzip"' == compressed

    for accept_encoding, current, other in (
        ("gzip", compressed, plain),
        ("identity", plain, compressed),
    ):
        for condition in (current, f"W/{current}", f'"1", {current}', "*"):
            response, raw = fetch(admin, path, accept_encoding, **{"If-None-Match": condition})
            assert (304, b"") == (response.status_code, raw)
            assert current == response.headers["etag"]
            assert "Accept-Encoding" in response.headers["vary"]
            assert "cache-control" in response.headers
            assert "content-encoding" not in response.headers
        response, _ = fetch(admin, path, accept_encoding, **{"If-None-Match": other})
        assert (200, current) == (response.status_code, response.headers["etag"])


def test_short_bodies_are_not_compressed(alice: Client, admin: Client) -> None:
    add_product(admin)

    for path in (ORDERS, PRODUCTS, "/docs"):
        response, raw = fetch(alice, path)
        assert len(raw) < 1400
        assert "content-encoding" not in response.headers


@pytest.mark.parametrize("refusal", ["", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *"])
def test_clients_that_do_not_accept_gzip_get_the_body_as_it_is(
    anonymous: Client, refusal: str
) -> None:
    response, raw = fetch(anonymous, "/openapi.json", refusal)

    assert "content-encoding" not in response.headers
    assert raw.startswith(b"{")


def test_a_range_of_a_compressed_file_is_the_whole_file(anonymous: Client) -> None:
    response, raw = fetch(anonymous, "/openapi.json", Range="bytes=0-9")

    assert 200 == response.status_code
    assert "accept-ranges" not in response.headers
    assert gzip.decompress(raw).startswith(b"{")


def test_responses_with_secrets_are_never_compressed(
    admin: Client, alice: Client, sign_in: Any
) -> None:
    """However long: here, sessions with long user agents, personal data, and an error."""
    for _ in range(12):
        sign_in(*ADMIN)
    for path in ("/api/v1/auth/sessions", "/api/v1/users/me/export"):
        response, raw = fetch(admin, path)
        assert (200, True) == (response.status_code, len(raw) > 1400)
        assert "content-encoding" not in response.headers

    unknown = "&".join(f"unknown_{number}=1" for number in range(30))
    response, raw = fetch(alice, f"{ORDERS}?{unknown}")
    assert (400, True) == (response.status_code, len(raw) > 1400)
    assert "content-encoding" not in response.headers


def test_tokens_are_never_compressed(anonymous: Client, alice: Client) -> None:
    del alice
    credentials = {"email": "alice@example.com", "password": "a long enough passphrase"}
    for path in ("/api/v1/auth/token", "/api/v1/auth/login"):
        response = anonymous.post(path, json=credentials, headers={"Accept-Encoding": "gzip"})
        assert 200 == response.status_code
        assert "content-encoding" not in response.headers
