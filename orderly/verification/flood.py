"""Sends many small requests fast, to reach the limit of the requests of a client."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

_BATCH: Final = 50
_TIMEOUT_SECONDS: Final = 15.0
_LIMITED: Final = b"HTTP/1.1 429 "
_STATUS: Final = b"HTTP/1.1 "


def flood(url: str, *, max_requests: int, max_seconds: float) -> int:
    """Send requests until one of them gets 429; return their number.

    Uses pipelining (RFC 9112, section 9.3.2): an HTTP client would be slower than the limit allows.
    Stops without 429 after `max_requests` or `max_seconds`.

    Raises:
        OSError: the connection fails.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    end = time.monotonic() + max_seconds
    sent = 0
    while sent < max_requests and time.monotonic() < end:
        connection = socket.create_connection((host, port), _TIMEOUT_SECONDS)
        if parts.scheme == "https":
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        with closing(connection):
            while sent < max_requests and time.monotonic() < end:
                connection.sendall(request * _BATCH)
                sent += _BATCH
                received = _receive(connection)
                if _LIMITED in received:
                    return sent
                if received.count(_STATUS) < _BATCH:
                    break  # the server has closed the connection
    return sent


def _receive(connection: socket.socket) -> bytes:
    """Return what arrives until there is a response to each request, or the end."""
    received = b""
    while received.count(_STATUS) < _BATCH:
        part = connection.recv(1 << 16)
        if not part:
            break
        received += part
    return received
