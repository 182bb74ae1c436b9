"""What every operation shares: HTTP itself, kept as the contract says."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import Client
from tests.api.problems import problem
from tests.api.shop import PRODUCTS

NOWHERE = "/api/v1/products/0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"


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
def test_an_unknown_address_is_404(anyone: Client, path: str) -> None:
    problem(anyone.get(path, follow_redirects=False), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/v1/products", "GET, POST"),
        ("HEAD", "/api/v1/products", "GET, POST"),
        ("OPTIONS", NOWHERE, "DELETE, GET, PATCH"),
        ("TRACE", "/api/v1/auth/login", "POST"),
        ("PROPFIND", "/api/v1/auth/login", "POST"),
    ],
)
def test_another_method_is_405_and_says_which_are_taken(
    anyone: Client, method: str, path: str, allow: str
) -> None:
    answer = anyone.request(method, path)

    assert (405, allow) == (answer.status_code, answer.headers["allow"])


def test_who_asks_comes_before_what_is_sent(anyone: Client, alice: Client) -> None:
    wrong = {"content": b"<x/>", "headers": {"content-type": "application/xml"}}

    problem(anyone.post(PRODUCTS, **wrong), 401, "unauthenticated")
    problem(alice.post(PRODUCTS, **wrong), 415, "unsupported_media_type")
    problem(alice.post(PRODUCTS, json={}), 400, "malformed_request")


def test_a_body_sent_in_chunks_is_read(alice: Client) -> None:
    answer = alice.post(
        "/api/v1/orders",
        content=iter([b'{"items"', b": []}"]),
        headers={"content-type": "application/json"},
    )

    assert "/items" == problem(answer, 400, "malformed_request")["errors"][0]["pointer"]


@pytest.mark.parametrize("chunked", [True, False])
def test_too_large_a_body_is_413(alice: Client, chunked: bool) -> None:
    body = b" " * (2 << 20)
    answer = alice.post(
        "/api/v1/orders",
        content=iter([body]) if chunked else body,
        headers={"content-type": "application/json"},
    )

    assert 1 << 20 == problem(answer, 413, "payload_too_large")["max_bytes"]


def test_a_get_may_have_any_content_type(anyone: Client) -> None:
    headers = {"content-type": "multipart/form-data"}

    assert 200 == anyone.get(PRODUCTS, headers=headers).status_code


def test_a_request_id_of_ones_own_is_kept(anyone: Client) -> None:
    answer = anyone.get(NOWHERE, headers={"X-Request-ID": "mine-1"})

    assert "mine-1" == problem(answer, 404, "not_found")["request_id"]


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 200, "<script>"])
def test_an_odd_request_id_is_replaced(anyone: Client, request_id: str) -> None:
    answer = anyone.get(NOWHERE, headers={"X-Request-ID": request_id})

    assert request_id != problem(answer, 404, "not_found")["request_id"]


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(base_url: str, anyone: Client) -> None:
    address = urlsplit(base_url)
    assert address.hostname
    assert address.port
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(
                b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )

    assert 200 == anyone.get("/health/ready").status_code
