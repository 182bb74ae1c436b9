"""Sends response bodies in chunks while they are produced."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import suppress

from starlette.types import Receive, Send

from database.greenlets import run_in_thread
from orderly.http.slots import Run


async def send_chunks(chunks: Iterator[bytes], *, run: Run, receive: Receive, send: Send) -> None:
    """Send the chunks of a body. Each chunk is produced by `run`, after the previous one was sent.

    So only a few chunks are in memory, however slowly the client reads (backpressure). Stops when
    the client disconnects. If producing a chunk raises an error, the final empty chunk is not sent
    and the server closes the connection: the client detects that the body is incomplete.

    `run` may call a function in a greenlet on the event loop, as it does for handlers, and limits
    how many run at the same time. Producing a chunk is CPU-bound: `run_in_thread` moves it from the
    greenlet to a worker thread.
    """
    disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        while not disconnected.done():
            chunk = await run(run_in_thread(lambda: next(chunks, None)))
            if chunk is None:
                await send({"type": "http.response.body", "body": b""})
                return
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        disconnected.cancel()
        with suppress(asyncio.CancelledError):
            await disconnected
        if isinstance(chunks, Generator):
            await run(run_in_thread(chunks.close))


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
