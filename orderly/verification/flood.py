"""Sends many small requests fast, to reach the limit of the requests of a client."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress
from typing import Final, Self
from urllib.parse import urlsplit

_BATCH: Final = 50
_TIMEOUT_SECONDS: Final = 15.0
_LIMITED: Final = b"HTTP/1.1 429 "
_STATUS: Final = b"HTTP/1.1 "


class Flood:
    """Sends requests in a thread while the block runs, as many as the server takes.

    Uses pipelining (RFC 9112, section 9.3.2): an HTTP client would be slower than the limit allows.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._is_limited = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait_until_limited(self, seconds: float) -> bool:
        """Wait until a request gets 429; return whether that happens in this time."""
        return self._is_limited.wait(seconds)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError), closing(self._connect()) as connection:
                self._send(connection)

    def _connect(self) -> socket.socket:
        host = self._url.hostname or ""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        connection = socket.create_connection((host, port), _TIMEOUT_SECONDS)
        if self._url.scheme == "https":
            return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        return connection

    def _send(self, connection: socket.socket) -> None:
        request = f"GET {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n\r\n".encode()
        while not self._stopped.is_set():
            connection.sendall(request * _BATCH)
            received = _receive(connection)
            if _LIMITED in received:
                self._is_limited.set()
            if received.count(_STATUS) < _BATCH:
                break  # the server has closed the connection


def _receive(connection: socket.socket) -> bytes:
    """Return what arrives until there is a response to each request, or the end."""
    received = b""
    while received.count(_STATUS) < _BATCH:
        part = connection.recv(1 << 16)
        if not part:
            break
        received += part
    return received
