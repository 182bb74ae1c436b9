"""Where an HTTP message ends: ambiguous requests could be smuggled past a proxy (RFC 9112, 6.3)."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

CHUNKED = "Transfer-Encoding: chunked\r\n"
SMUGGLED = "0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: shop\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        f"Content-Length: 4\r\n{CHUNKED}",
        f"{CHUNKED}Content-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4, 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        f" {CHUNKED}",
    ],
)
def test_a_request_of_ambiguous_length_is_refused_and_the_connection_closed(
    base_url: str, framing: str
) -> None:
    address = urlsplit(base_url)
    head = f"POST /api/v1/auth/login HTTP/1.1\r\nHost: {address.netloc}\r\n{framing}\r\n"

    with socket.create_connection((str(address.hostname), address.port or 80), 10) as connection:
        connection.sendall((head + SMUGGLED).encode())
        with connection.makefile("rb") as stream:
            response = stream.read()

    assert response.startswith(b"HTTP/1.1 400 ")
    assert 1 == response.count(b"HTTP/1.1 ")
    assert "malformed_request" == json.loads(response.partition(b"\r\n\r\n")[2])["code"]
