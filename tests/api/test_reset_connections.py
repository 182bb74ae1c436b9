"""A connection that the client resets takes no memory afterwards, as one that it closes."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from contextlib import closing
from functools import partial
from typing import Any

import uvloop

from orderly.server.connection_guard import ConnectionGuard
from orderly.server.http_protocol import HttpProtocol
from orderly.server.listen_socket import listen, open_socket
from tests.support.processes import TIMEOUT_SECONDS
from tests.support.uvicorn_server import serving

CONNECTIONS = 20
REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
# SO_LINGER with a timeout of 0: close() sends RST instead of FIN.
RESET = struct.pack("ii", 1, 0)


def test_the_server_frees_a_connection_that_the_client_resets() -> None:
    uvloop.run(_reset_connections(before=_connections()))


def _connections() -> int:
    gc.collect()
    return sum(isinstance(one, HttpProtocol) for one in gc.get_objects())


async def _reset_connections(before: int) -> None:
    guard = ConnectionGuard(max_connections=100, head_seconds=10, transfer_seconds=10)
    http: Any = partial(HttpProtocol, guard=guard)
    with closing(open_socket("127.0.0.1", 0)) as server_socket:
        listen(server_socket, CONNECTIONS)
        async with serving(_respond, [server_socket], http=http, timeout_keep_alive=3600):
            for _ in range(CONNECTIONS):
                await asyncio.to_thread(_request_and_reset, server_socket.getsockname())
            # While the event loop runs: its end would free them too.
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while _connections() > before:
                    await asyncio.sleep(0.05)


async def _respond(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _request_and_reset(address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT_SECONDS) as client:
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(b"HTTP/1.1 204 ")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
