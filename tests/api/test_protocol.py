"""HTTP behaviour that all operations share, as the contract describes it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product

UNKNOWN_PRODUCT = "/api/v1/products/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api/v1",
        "/api/v1/",
        "/api/v1/products/",
        "/api/v1x/products",
        "/docs/nothing",
        "/health",
    ],
)
def test_an_unknown_path_is_404(anonymous: Client, path: str) -> None:
    assert_problem(anonymous.get(path, follow_redirects=False), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/v1/products", "GET, POST"),
        ("HEAD", "/api/v1/products", "GET, POST"),
        ("OPTIONS", UNKNOWN_PRODUCT, "DELETE, GET, PATCH"),
        ("TRACE", "/api/v1/auth/login", "POST"),
        ("PROPFIND", "/api/v1/auth/login", "POST"),
    ],
)
def test_another_method_is_405_with_the_allowed_methods(
    anonymous: Client, method: str, path: str, allow: str
) -> None:
    response = anonymous.request(method, path)

    assert (405, allow) == (response.status_code, response.headers["allow"])


def test_requests_are_checked_in_the_documented_order(
    anonymous: Client, alice: Client, admin: Client
) -> None:
    """Each request breaks one rule less than the request before it."""
    product = add_product(admin)
    path = f"{PRODUCTS}/{product['id']}"
    unknown = "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"
    xml = {"content": b"<x/>", "headers": {"content-type": "application/xml"}}
    valid = {"json": {"name": "Mug"}, "headers": {"If-Match": '"99"'}}

    assert_problem(anonymous.put(f"{PRODUCTS}/no-uuid", **xml), 405, "method_not_allowed")
    assert_problem(anonymous.patch(f"{PRODUCTS}/no-uuid", **xml), 401, "unauthenticated")
    assert_problem(alice.patch(f"{PRODUCTS}/no-uuid", **xml), 403, "forbidden")
    assert_problem(admin.patch(f"{PRODUCTS}/no-uuid", **xml), 415, "unsupported_media_type")
    assert_problem(admin.patch(f"{PRODUCTS}/no-uuid", json={"name": ""}), 400, "malformed_request")
    assert_problem(
        admin.patch(f"{PRODUCTS}/{unknown}", json={"name": ""}), 400, "malformed_request"
    )
    assert_problem(admin.patch(f"{PRODUCTS}/{unknown}", **valid), 404, "not_found")
    assert_problem(admin.patch(path, **valid), 412, "precondition_failed")


@pytest.mark.parametrize(
    "framing", ["Content-Length: 16777216", "Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
@pytest.mark.parametrize("extra", ["", "Expect: 100-continue\r\n"], ids=["", "expect"])
def test_the_role_is_checked_before_the_body_is_read(
    base_url: str, alice: Client, framing: str, extra: str
) -> None:
    """The client sends the header fields of a large upload, and none of its body."""
    address = urlsplit(base_url)
    cookies = "; ".join(f"{name}={value}" for name, value in alice.cookies.items())
    head = (
        f"POST {PRODUCTS}/import HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookies}\r\n"
        f"Connection: close\r\nContent-Type: text/csv\r\n{framing}\r\n{extra}\r\n"
    )

    with socket.create_connection((str(address.hostname), address.port or 80), 10) as connection:
        connection.sendall(head.encode())
        with connection.makefile("rb") as stream:
            response = stream.read()

    assert response.startswith(b"HTTP/1.1 403 ")
    assert b'"code":"forbidden"' in response


def test_a_chunked_body_is_accepted(alice: Client) -> None:
    response = alice.post(
        "/api/v1/orders",
        content=iter([b'{"items"', b": []}"]),
        headers={"content-type": "application/json"},
    )

    assert "/items" == assert_problem(response, 400, "malformed_request")["errors"][0]["pointer"]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_too_large_is_413(alice: Client, chunked: bool) -> None:
    body = b" " * (33 << 10)
    response = alice.post(
        "/api/v1/orders",
        content=iter([body]) if chunked else body,
        headers={"content-type": "application/json"},
    )

    assert 32 << 10 == assert_problem(response, 413, "payload_too_large")["max_bytes"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/orders", '{"items":[' + "0," * 524_000 + "0]}"),
        ("/api/v1/auth/login", "{" + ",".join(f'"{n}":0' for n in range(118_000)) + "}"),
    ],
    ids=["a long array", "unknown members"],
)
def test_a_body_that_would_be_slow_to_check_is_413(alice: Client, path: str, body: str) -> None:
    response = alice.post(path, content=body, headers={"content-type": "application/json"})

    assert_problem(response, 413, "payload_too_large")


def test_deep_nesting_is_400(alice: Client) -> None:
    for levels in (100, 300, 900):
        response = alice.post(
            "/api/v1/orders",
            content='{"items":' + "[" * levels + "]" * levels + "}",
            headers={"content-type": "application/json"},
        )

        errors = assert_problem(response, 400, "malformed_request")["errors"]
        assert [("/items/0", "type")] == [(error["pointer"], error["code"]) for error in errors]


def test_a_get_request_can_have_any_content_type(anonymous: Client) -> None:
    headers = {"content-type": "multipart/form-data"}

    assert 200 == anonymous.get(PRODUCTS, headers=headers).status_code


def test_a_valid_request_id_of_the_client_is_returned(anonymous: Client) -> None:
    response = anonymous.get(UNKNOWN_PRODUCT, headers={"X-Request-ID": "mine-1"})

    assert "mine-1" == assert_problem(response, 404, "not_found")["request_id"]


@pytest.mark.parametrize(
    "request_id",
    ["", "a b", "x" * 200, "<script>", "command-line", "Command_Line", "demo", "-demo-"],
)
def test_an_invalid_request_id_is_replaced(anonymous: Client, request_id: str) -> None:
    response = anonymous.get(UNKNOWN_PRODUCT, headers={"X-Request-ID": request_id})

    assert request_id != assert_problem(response, 404, "not_found")["request_id"]


def test_the_server_continues_after_clients_disconnect_during_a_request(
    base_url: str, anonymous: Client
) -> None:
    address = urlsplit(base_url)
    assert address.hostname
    assert address.port
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(
                b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )

    assert 200 == anonymous.get("/health/ready").status_code
