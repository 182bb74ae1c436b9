"""The cache of the catalogue under races and with many responses; the rest is tested over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orderly.http.shared_cache import ResponseStore, shared_cache

PATH = "/api/v1/products"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests of this module on asyncio."""
    return "asyncio"


class Source:
    """An ASGI application that returns a version of the catalogue, when it is allowed to."""

    def __init__(self) -> None:
        self.version = 1
        self.calls = 0
        self.status = 200
        self.padding = b""
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        self.calls += 1
        scope["orderly"]["operation_id"] = "list_products"
        version, status = self.version, self.status
        if scope["method"] == "GET":
            await self.may_respond.wait()
        else:
            self.version += 1
        if status == 0:  # no response, as if the client had disconnected
            return
        if status == 500:
            raise ValueError("failure")
        headers = [(b"cache-control", b"public, no-cache"), (b"etag", b'"%d"' % version)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"%d" % version + self.padding
        await send({"type": "http.response.body", "body": body})


Request = Callable[..., Awaitable[tuple[int, bytes]]]


def requests_to(source: Source, store: ResponseStore) -> Request:
    app = shared_cache(store, ["session"])(source)

    async def request(method: str = "GET", query: bytes = b"") -> tuple[int, bytes]:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": query,
            "headers": [],
            "orderly": {"operation_id": None, "headers": (), "user_id": "admin"},
        }
        await app(scope, send, send)
        return (messages[0]["status"], messages[1]["body"]) if messages else (0, b"")

    return request


async def test_a_response_that_was_read_before_a_write_is_not_stored() -> None:
    source = Source()
    request = requests_to(source, ResponseStore(60))
    source.may_respond.clear()
    slow = asyncio.create_task(request())
    await asyncio.sleep(0)

    await request("PATCH")
    after = asyncio.create_task(request())
    await asyncio.sleep(0)
    source.may_respond.set()

    assert (200, b"1") == await slow
    assert (200, b"2") == await after
    assert (200, b"2") == await request()


async def test_concurrent_requests_share_one_fetch() -> None:
    source, store = Source(), ResponseStore(60)
    request = requests_to(source, store)

    responses = await asyncio.gather(*(request() for _ in range(10)))

    assert [(200, b"1")] * 10 == responses
    assert (1, 9, 1) == (source.calls, store.hits, store.misses)


@pytest.mark.parametrize("status", [404, 503, 0])
async def test_requests_that_wait_for_a_failed_one_ask_the_source_themselves(status: int) -> None:
    source, store = Source(), ResponseStore(60)
    source.status = status
    request = requests_to(source, store)

    responses = await asyncio.gather(*(request() for _ in range(3)))

    assert [status] * 3 == [one[0] for one in responses]
    assert (3, 0, {}) == (source.calls, store.size, store.fetches)


async def test_an_exception_of_the_source_reaches_its_own_request_only() -> None:
    source, store = Source(), ResponseStore(60)
    source.status = 500
    request = requests_to(source, store)
    source.may_respond.clear()
    tasks = [asyncio.create_task(request()) for _ in range(2)]
    await asyncio.sleep(0)
    source.status = 200
    source.may_respond.set()

    first, second = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(first, ValueError)
    assert (200, b"1") == second


async def test_a_cancelled_request_does_not_disturb_those_that_wait_with_it() -> None:
    source = Source()
    request = requests_to(source, ResponseStore(60))
    source.may_respond.clear()
    tasks = [asyncio.create_task(request()) for _ in range(3)]
    await asyncio.sleep(0)

    tasks[1].cancel()
    await asyncio.sleep(0)
    source.may_respond.set()

    assert (200, b"1") == await tasks[0]
    assert (200, b"1") == await tasks[2]


async def test_the_memory_is_bounded_and_the_least_recently_used_response_is_removed_first() -> (
    None
):
    source, store = Source(), ResponseStore(60)
    source.padding = b"x" * 250_000
    request = requests_to(source, store)
    await request(query=b"limit=1")

    for number in range(2, 60):
        await request(query=b"limit=%d" % number)
        await request(query=b"limit=1")  # stays, because it is used

    assert 9 << 20 < store.size <= 10 << 20
    assert 59 == source.calls
    await request(query=b"limit=59")
    assert 59 == source.calls
    await request(query=b"limit=2")
    assert 60 == source.calls


async def test_a_very_large_response_is_not_stored() -> None:
    source, store = Source(), ResponseStore(60)
    source.padding = b"x" * (1 << 19)
    request = requests_to(source, store)

    for _ in range(2):
        status, body = await request()
        assert (200, (1 << 19) + 1) == (status, len(body))

    assert (2, 0) == (source.calls, store.size)
