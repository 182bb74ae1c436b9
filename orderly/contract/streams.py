"""Answers that are written while they are read: bytes, piece by piece, of any media type."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Send

from database.greenlets import aside

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def send_pieces(pieces: Iterator[bytes], *, run: Run, receive: Receive, send: Send) -> None:
    """Send the pieces of a body, each made by `run` once the one before is on its way.

    The next piece waits for the client to take the last, so that no more than a few are in memory;
    a client that hangs up ends it. An error is raised as it is: the server closes the connection
    then without the end of the body, by which the client can tell that it is not whole.
    """
    gone = asyncio.ensure_future(_hang_up(receive))
    try:
        while not gone.done():
            piece = await run(aside(lambda: next(pieces, None)))
            if piece is None:
                await send({"type": "http.response.body", "body": b""})
                return
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        if isinstance(pieces, Generator):
            await run(aside(pieces.close))


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
