"""The event loop accepts many connections in one iteration."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from typing import Any

import uvloop

from orderly.server.listen_socket import accepting_sockets, listen, open_socket
from tests.support.processes import TIMEOUT_SECONDS
from tests.support.uvicorn_server import serving

CONNECTIONS = 64


def test_connections_that_wait_are_accepted_in_few_iterations_of_the_event_loop() -> None:
    server_socket = open_socket("127.0.0.1", 0)
    listen(server_socket, CONNECTIONS * 2)
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection(server_socket.getsockname()))
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")

        iterations = uvloop.run(iterations_of_requests(accepting_sockets(server_socket)))

    assert len(iterations) == CONNECTIONS
    # With one connection in each iteration, these would be at least CONNECTIONS.
    assert max(iterations) - min(iterations) < CONNECTIONS / 2


async def iterations_of_requests(sockets: list[socket.socket]) -> list[int]:
    """Return the number of the loop's iteration in which each request arrived."""
    iterations: list[int] = []
    iteration = 0
    arrived = asyncio.Event()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        iterations.append(iteration)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        if len(iterations) == CONNECTIONS:
            arrived.set()

    async def count() -> None:
        nonlocal iteration
        while True:
            await asyncio.sleep(0)
            iteration += 1

    counting = asyncio.create_task(count())
    async with serving(app, sockets):
        try:
            await asyncio.wait_for(arrived.wait(), TIMEOUT_SECONDS)
        finally:
            counting.cancel()
            with suppress(asyncio.CancelledError):
                await counting
    return iterations
