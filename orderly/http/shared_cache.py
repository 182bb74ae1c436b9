"""A shared cache (RFC 9111) of the catalogue, for requests without credentials.

It answers before routing: a hit needs no validation, no query and no slot (`slots.py`). It stores
the responses that are `public`: those of `list_products` and `get_product`. A stored response is
fresh for `ORDERLY_CATALOGUE_CACHE_SECONDS` (1 by default). Then one request fetches it, and
concurrent requests for the same URL wait for this fetch (collapsed forwarding).

A request of a signed-in user with an unsafe method (POST, PATCH, DELETE) to a path of the catalogue
empties the cache of its process. Placing an order does not, so the stock in a stored response can
be out of date. The caches of other processes are not emptied.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.preconditions import is_unchanged
from handlers.responses import BASE_PATH
from orderly.http.compression import (
    CONTENT_ENCODING,
    MIN_BYTES,
    Header,
    accepts_gzip,
    tag_of_gzip,
)
from orderly.http.slots import SAFE_METHODS

# The paths of the catalogue begin with this one.
_PREFIX = f"{BASE_PATH}/products"
# Some 5,000 products. With the default freshness of a second, more would rarely be used again.
_MAX_BYTES = 10 << 20
# A larger response is not stored, so that a few of them cannot displace all others.
_MAX_RESPONSE_BYTES = 1 << 20
# Estimated memory of a stored response in addition to its bodies: headers, key, objects
_OVERHEAD_BYTES = 1024
# Compressing a larger body would block the event loop for more than 20 ms.
_MAX_COMPRESSED_BYTES = 1 << 19
_OK = 200

# The value of `If-None-Match` (RFC 9110, section 13.1.2): `*`, or up to 20 entity tags
_ENTITY_TAGS = re.compile(rb'\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*"){0,19}')


class _CacheHeaders(NamedTuple):
    """The headers of a request that decide how the cache handles it."""

    bypasses_cache: bool
    accepts_gzip: bool
    if_none_match: bytes | None


class _Stored:
    """A stored response."""

    __slots__ = (
        "_body",
        "_gzip_body",
        "_gzip_etag",
        "_headers",
        "_not_modified",
        "etag",
        "facts",
        "size",
        "time",
    )

    def __init__(
        self,
        time: float,
        headers: list[Header],
        body: bytes,
        facts: dict[str, Any],
        cache_control: bytes,
    ) -> None:
        self.time = time
        self.facts = {name: facts[name] for name in ("operation_id", "headers")}
        # The compressed body is at most as long as the body.
        self.size = 2 * len(body) + _OVERHEAD_BYTES
        self.etag = dict(headers)[b"etag"]
        self._gzip_etag = tag_of_gzip(self.etag.decode("latin-1")).encode("latin-1")
        replaced = {b"cache-control", b"content-length", b"etag", b"vary"}
        common_headers = [
            (b"cache-control", cache_control),
            (b"vary", b"Authorization, Cookie, Accept-Encoding"),
        ]
        self._headers = [
            *(header for header in headers if header[0] not in replaced),
            *common_headers,
        ]
        self._not_modified = common_headers
        # A copy: orjson allocates at least 4 KiB for each result, and does not free the rest.
        self._body = bytes(memoryview(body))
        self._gzip_body: bytes | None = None

    def response(self, request: _CacheHeaders, now: float) -> tuple[int, list[Header], bytes]:
        """Return the status, headers and body of the response to a request."""
        etag, body = self.etag, self._body
        encoding: tuple[Header, ...] = ()
        if request.accepts_gzip and MIN_BYTES <= len(body) <= _MAX_COMPRESSED_BYTES:
            etag, encoding = self._gzip_etag, (CONTENT_ENCODING,)
            body = self._compressed()
        age = (b"age", b"%d" % (now - self.time))
        if request.if_none_match is not None and self._is_unchanged(request.if_none_match, etag):
            return 304, [*self._not_modified, (b"etag", etag), age], b""
        length = (b"content-length", b"%d" % len(body))
        return _OK, [*self._headers, (b"etag", etag), length, age, *encoding], body

    def _compressed(self) -> bytes:
        if self._gzip_body is None:
            self._gzip_body = gzip.compress(self._body, compresslevel=5, mtime=0)
        return self._gzip_body

    @staticmethod
    def _is_unchanged(if_none_match: bytes, etag: bytes) -> bool:
        return if_none_match == etag or is_unchanged(
            if_none_match.decode("latin-1"), etag.decode("latin-1")
        )


class _Fetch:
    """A request to the source, for which concurrent requests of the same key wait."""

    __slots__ = ("_is_done", "result")

    def __init__(self) -> None:
        self._is_done = asyncio.Event()
        self.result: _Stored | None = None

    def end(self) -> None:
        """Wake the requests that wait."""
        self._is_done.set()

    async def wait(self) -> _Stored | None:
        """Wait for the end. Return the response; None if it is not public, or the fetch failed."""
        await self._is_done.wait()
        return self.result


class ResponseStore:
    """The stored responses of one server process, by key. Only its event loop may use it."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        # The least recently used first
        self._responses: OrderedDict[bytes, _Stored] = OrderedDict()
        self.fetches: dict[bytes, _Fetch] = {}
        self.size = 0
        self.hits = 0
        self.misses = 0

    def fresh(self, key: bytes, now: float) -> _Stored | None:
        """Return the response, unless it is too old."""
        found = self._responses.get(key)
        if found is None or now - found.time >= self.seconds:
            return None
        self._responses.move_to_end(key)
        return found

    def add(self, key: bytes, response: _Stored) -> None:
        """Store a response in place of an older one.

        Removes the least recently used responses while they are too old to be used, or there is no
        space.
        """
        if response.size > _MAX_RESPONSE_BYTES:
            return
        replaced = self._responses.pop(key, None)
        self._responses[key] = response
        self.size += response.size - (replaced.size if replaced else 0)
        oldest_used = response.time - self.seconds
        while self.size > _MAX_BYTES or next(iter(self._responses.values())).time <= oldest_used:
            self.size -= self._responses.popitem(last=False)[1].size

    def empty(self) -> None:
        """Forget all responses, and the fetches that have begun: their responses may be old."""
        self._responses.clear()
        self.fetches.clear()
        self.size = 0


class SharedCache:
    """ASGI middleware that responds from a store."""

    def __init__(
        self, app: ASGIApp, *, store: ResponseStore, session_cookies: Collection[str]
    ) -> None:
        self._app = app
        self._store = store
        self._session_cookies = [name.encode() for name in session_cookies]
        seconds = store.seconds
        self._cache_control = b"public, max-age=%d, stale-while-revalidate=%d" % (seconds, seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond from the store, or pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            request = self._read(scope["headers"])
            if request is None:
                await self._app(scope, receive, send)
            else:
                await self._respond(request, scope, receive, send)
        elif scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
        else:
            await self._write(scope, receive, send)

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that may change the catalogue, and empty the store.

        Requests without authentication are refused, so they do not empty it.
        """

        def empty() -> None:
            if scope["orderly"]["user_id"] is not None:
                self._store.empty()

        async def send_after_emptying(message: Message) -> None:
            # The client must see its change in the next response.
            empty()
            await send(message)

        try:
            await self._app(scope, receive, send_after_emptying)
        finally:  # also after an error: the change may have been made
            empty()

    async def _respond(
        self, request: _CacheHeaders, scope: Scope, receive: Receive, send: Send
    ) -> None:
        store, key, now = self._store, _key(scope), monotonic()
        stored = None if request.bypasses_cache else store.fresh(key, now)
        if stored is None:
            fetch = None if request.bypasses_cache else store.fetches.get(key)
            if fetch is None:
                store.misses += 1
                await self._fetch(key, request, scope, receive, send)
                return
            stored = await fetch.wait()
            if stored is None:  # an error such as 404, or a disconnected client
                store.misses += 1
                await self._app(scope, receive, send)
                return
        store.hits += 1
        scope["orderly"].update(stored.facts)
        await _send(stored.response(request, now), send)

    async def _fetch(
        self, key: bytes, request: _CacheHeaders, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass a request on, respond to it, and store the response if it is public."""
        fetches = self._store.fetches
        fetch = fetches[key] = _Fetch()
        recorder = _Recorder(send)
        # The stored response must have a body that is not compressed.
        scope["headers"] = [header for header in scope["headers"] if header[0] not in _REMOVED]
        now = monotonic()
        try:
            await self._app(scope, receive, recorder.send)
            if recorder.headers is not None:
                body = b"".join(recorder.body)
                fetch.result = _Stored(
                    now, recorder.headers, body, scope["orderly"], self._cache_control
                )
                # After a write or a newer fetch, this response may be out of date.
                if fetches.get(key) is fetch:
                    self._store.add(key, fetch.result)
        finally:
            if fetches.get(key) is fetch:
                del fetches[key]
            fetch.end()
        if fetch.result is not None:
            await _send(fetch.result.response(request, now), send)

    def _read(self, headers: list[Header]) -> _CacheHeaders | None:
        """Return the headers that matter to the cache; None if it must not handle the request."""
        bypasses_cache = False
        accept_encoding, if_none_match = b"", None
        for name, value in headers:
            if name not in _RELEVANT:
                continue
            if name == b"accept-encoding":
                accept_encoding += b"," + value
            elif name == b"if-none-match":
                if if_none_match is not None or not _ENTITY_TAGS.fullmatch(value):
                    return None  # invalid: the contract refuses it
                if_none_match = value
            elif name == b"cache-control":
                bypasses_cache |= any(
                    directive in value.lower() for directive in _BYPASS_DIRECTIVES
                )
            elif name == b"authorization" or any(one in value for one in self._session_cookies):
                return None
        return _CacheHeaders(bypasses_cache, accepts_gzip(accept_encoding), if_none_match)


_RELEVANT = {b"accept-encoding", b"authorization", b"cache-control", b"cookie", b"if-none-match"}
_REMOVED = {b"accept-encoding", b"if-none-match"}
_BYPASS_DIRECTIVES = (b"no-cache", b"no-store", b"max-age=0")


class _Recorder:
    """Keeps the messages of a response that can be stored; sends those of other responses."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.headers: list[Header] | None = None
        self.body: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_public(message):
            self.headers = list(message["headers"])
        elif self.headers is None:
            await self._send(message)
        else:
            self.body.append(message.get("body", b""))


def shared_cache(
    store: ResponseStore, session_cookies: Collection[str]
) -> Callable[[ASGIApp], SharedCache]:
    """Return middleware that responds from a store to requests without a session cookie."""
    return partial(SharedCache, store=store, session_cookies=session_cookies)


def _is_public(start: Message) -> bool:
    if start["status"] != _OK:
        return False
    headers = dict(start["headers"])
    return headers.get(b"cache-control", b"").startswith(b"public") and b"etag" in headers


def _key(scope: Scope) -> bytes:
    """Return the cache key: the path, and the query with its parameters sorted."""
    query: bytes = scope["query_string"]
    if b"&" in query:
        query = b"&".join(sorted(query.split(b"&")))
    key: bytes = scope["raw_path"] + b"?" + query
    return key


async def _send(response: tuple[int, list[Header], bytes], send: Send) -> None:
    status, headers, body = response
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
