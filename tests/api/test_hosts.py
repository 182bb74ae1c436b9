"""The `Host` header of requests, and the setting `ORDERLY_ALLOWED_HOSTS`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.processes import run_server


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a server that two host names are allowed for."""
    data_dir = tmp_path_factory.mktemp("server") / "data"
    allowed = "shop.example.com, [::1]"
    with (
        run_server(data_dir, ORDERLY_ALLOWED_HOSTS=allowed) as server,
        Client(base_url=server.url) as client,
    ):
        yield client


def send(url: str, head: bytes) -> tuple[int, dict[str, Any]]:
    """Send the head of a GET request; return the status and the JSON body."""
    address = urlsplit(url)
    assert address.port is not None
    with closing(socket.create_connection(("127.0.0.1", address.port), timeout=60)) as client:
        client.sendall(head + b"Connection: close\r\n\r\n")
        response = client.makefile("rb").read()
    lines, _, body = response.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(body)


@pytest.mark.parametrize("path", [b"/api/v1/products", b"/openapi.json", b"/health/live"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (b"", "required"),
        (b"Host: shop\r\nHost: shop\r\n", "maxItems"),
        (b"Host: shop\r\nhost: other\r\n", "maxItems"),
        (b"Host: \r\n", "pattern"),
        (b"Host: shop example\r\n", "pattern"),
        (b"Host: user@shop\r\n", "pattern"),
        (b"Host: shop/path\r\n", "pattern"),
        (b"Host: shop:http\r\n", "pattern"),
        (b"Host: [::1\r\n", "pattern"),
    ],
)
def test_a_request_without_exactly_one_valid_host_is_400(
    base_url: str, path: bytes, fields: bytes, code: str
) -> None:
    status, problem = send(base_url, b"GET " + path + b" HTTP/1.1\r\n" + fields)

    assert (400, "malformed_request") == (status, problem["code"])
    assert [("Host", "header", code)] == [
        (error["parameter"], error["in"], error["code"]) for error in problem["errors"]
    ]


@pytest.mark.parametrize(
    "host", [b"shop", b"SHOP.example.com:8000", b"127.0.0.1", b"[::1]:80", b"my_shop", b"a%20b"]
)
def test_by_default_any_host_is_allowed(base_url: str, host: bytes) -> None:
    assert 200 == send(base_url, b"GET /api/v1/products HTTP/1.1\r\nHost: " + host + b"\r\n")[0]


def test_http_1_0_needs_no_host_but_cannot_have_two(base_url: str) -> None:
    start = b"GET /health/live HTTP/1.0\r\n"

    assert 200 == send(base_url, start)[0]
    assert 400 == send(base_url, start + b"Host: shop\r\nHost: shop\r\n")[0]


@pytest.mark.parametrize("host", ["shop.example.com", "Shop.Example.com:8443", "[::1]", "[::1]:80"])
def test_an_allowed_host_is_compared_without_case_and_port(restricted: Client, host: str) -> None:
    for path in ("/api/v1/products", "/docs", "/health/live"):
        assert 200 == restricted.get(path, headers={"Host": host}).status_code


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "evil.example", "shop.example.com.evil.example", "www.shop.example.com"]
)
@pytest.mark.parametrize("path", ["/api/v1/products", "/docs", "/openapi.json", "/nothing"])
def test_another_host_is_421(restricted: Client, host: str, path: str) -> None:
    response = restricted.get(path, headers={"Host": host})

    assert_problem(response, 421, "misdirected_request")
    assert "shop.example.com" not in response.text


def test_health_checks_work_with_any_host(restricted: Client) -> None:
    for path in ("/health/live", "/health/ready"):
        assert 200 == restricted.get(path, headers={"Host": "10.1.2.3:8000"}).status_code
        assert 200 == send(str(restricted.base_url), f"GET {path} HTTP/1.0\r\n".encode())[0]


def test_without_a_host_only_health_checks_are_allowed(restricted: Client) -> None:
    assert 421 == send(str(restricted.base_url), b"GET /api/v1/products HTTP/1.0\r\n")[0]
