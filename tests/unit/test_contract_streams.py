"""Streams: chunks are produced one at a time, in a thread, while the client is connected."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orderly.contract.application import run_in_default_executor
from orderly.contract.streams import send_chunks


class FakeConnection:
    """An ASGI connection that records messages and disconnects after some of them."""

    def __init__(self, *, max_messages: int = 1_000_000) -> None:
        self.messages: list[dict[str, Any]] = []
        self._max_messages = max_messages
        self._disconnected = asyncio.Event()
        self._first = True

    async def receive(self) -> dict[str, Any]:
        if self._first:
            self._first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if len(self.messages) == self._max_messages:
            self._disconnected.set()
            await asyncio.sleep(0)


def stream(chunks: Iterator[bytes], **options: Any) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        connection = FakeConnection(**options)
        await send_chunks(
            chunks, run=run_in_default_executor, receive=connection.receive, send=connection.send
        )
        return connection.messages

    return asyncio.run(run())


def test_chunks_are_sent_in_sequence_and_the_last_message_ends_the_body() -> None:
    messages = stream(iter([b"a", b"", b"bc"]))

    assert [(b"a", True), (b"bc", True), (b"", False)] == [
        (message["body"], message.get("more_body", False)) for message in messages
    ]


def test_chunks_are_produced_one_at_a_time_and_not_in_the_event_loop_thread() -> None:
    in_main_thread: list[bool] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            in_main_thread.append(threading.current_thread() is threading.main_thread())
            yield b"x"

    assert 6 == len(stream(chunks()))
    assert [False] * 5 == in_main_thread


def test_no_more_chunks_are_produced_after_the_client_disconnects() -> None:
    produced: list[int] = []

    def chunks() -> Iterator[bytes]:
        count = 0
        try:
            while True:
                count += 1
                yield b"x"
        finally:
            produced.append(count)

    messages = stream(chunks(), max_messages=3)

    assert 3 <= len(messages) <= 4
    assert [len(messages)] == produced
    assert all(message["more_body"] for message in messages)


def test_after_an_error_the_body_is_not_ended() -> None:
    messages: list[dict[str, Any]] = []

    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async def run() -> None:
        connection = FakeConnection()
        try:
            await send_chunks(
                chunks(),
                run=run_in_default_executor,
                receive=connection.receive,
                send=connection.send,
            )
        finally:
            messages.extend(connection.messages)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert [(b"x", True)] == [(message["body"], message["more_body"]) for message in messages]
