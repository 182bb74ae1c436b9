"""Streams: a piece at a time, off the event loop, for as long as somebody takes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orderly.contract.operations import run_in_default_executor
from orderly.contract.streams import send_chunks


class Wire:
    """What a client has got, and when it hangs up."""

    def __init__(self, *, takes: int = 1_000_000) -> None:
        self.got: list[dict[str, Any]] = []
        self._takes = takes
        self._gone = asyncio.Event()
        self._first = True

    async def receive(self) -> dict[str, Any]:
        if self._first:
            self._first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)
        if len(self.got) == self._takes:
            self._gone.set()
            await asyncio.sleep(0)


def stream(pieces: Iterator[bytes], **options: Any) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        wire = Wire(**options)
        await send_chunks(pieces, run=run_in_default_executor, receive=wire.receive, send=wire.send)
        return wire.got

    return asyncio.run(run())


def test_pieces_come_in_order_and_the_end_is_told() -> None:
    got = stream(iter([b"a", b"", b"bc"]))

    assert [(b"a", True), (b"bc", True), (b"", False)] == [
        (one["body"], one.get("more_body", False)) for one in got
    ]


def test_pieces_are_made_one_at_a_time_and_not_on_the_event_loop() -> None:
    made: list[bool] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            made.append(threading.current_thread() is threading.main_thread())
            yield b"x"

    assert 6 == len(stream(pieces()))
    assert [False] * 5 == made


def test_nothing_more_is_made_for_a_client_that_hangs_up() -> None:
    closed: list[int] = []

    def pieces() -> Iterator[bytes]:
        made = 0
        try:
            while True:
                made += 1
                yield b"x"
        finally:
            closed.append(made)

    got = stream(pieces(), takes=3)

    assert 3 <= len(got) <= 4
    assert [len(got)] == closed
    assert all(one["more_body"] for one in got)


def test_an_error_leaves_the_body_without_its_end() -> None:
    got: list[dict[str, Any]] = []

    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async def run() -> None:
        wire = Wire()
        try:
            await send_chunks(
                pieces(), run=run_in_default_executor, receive=wire.receive, send=wire.send
            )
        finally:
            got.extend(wire.got)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert [(b"x", True)] == [(one["body"], one["more_body"]) for one in got]
