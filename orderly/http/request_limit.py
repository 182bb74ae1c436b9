"""Limits the requests of each client, so that none can use up the capacity of a server process.

Each process counts for itself, in memory, which takes about a microsecond. Attempts that could
guess a secret have lower limits, which all processes share (`services/throttling.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from time import monotonic_ns

from starlette.types import ASGIApp, Receive, Scope, Send

from domain.actor import network_of
from orderly.http.admission import HEALTH_CHECKS
from orderly.http.error_responses import respond

WINDOW_SECONDS = 10
_POLICY = "requests"
_PROBLEM = "too_many_attempts"
_NANOSECONDS = 1_000_000_000
_WINDOW = WINDOW_SECONDS * _NANOSECONDS
# The clients of one window. Two windows of them take at most some 10 MB.
_MAX_CLIENTS = 20_000

_MAX_ADDRESS_CHARACTERS = 64

_network_of_ipv6 = lru_cache(1024)(network_of)


class RequestCounts:
    """Counts the requests of each client against a quota by GCRA, the generic cell rate algorithm.

    A client can send `quota` requests at once, or spread over a window of `WINDOW_SECONDS`. A quota
    of 0 allows no request. Only one thread may use it.
    """

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.refused = 0
        self._interval = _WINDOW // max(quota, 1)
        # When each client will have its whole quota again, in nanoseconds (the theoretical arrival
        # time of GCRA). A client that is not known has its whole quota. So after a window, those
        # who sent nothing in it can be forgotten.
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._window_ends_at = 0

    def wait(self, client: str, now: int) -> int:
        """Count a request. Return 0, or after how many nanoseconds the client may send the next.

        A refused request does not count. `now` is in nanoseconds.
        """
        recent = self._recent
        if now >= self._window_ends_at or len(recent) >= _MAX_CLIENTS:
            self._older, self._recent = recent, {}
            self._window_ends_at = now + _WINDOW
            recent = self._recent
        full_at = recent.get(client) or self._older.get(client, now)
        full_at = max(full_at, now) + self._interval
        wait = full_at - now - _WINDOW
        if wait > 0:
            self.refused += 1
            return wait
        recent[client] = full_at
        return 0


class RequestLimit:
    """ASGI middleware that responds 429 to a client that exceeds the quota.

    A client is an IPv4 address or the /64 network of an IPv6 address. It refuses before the
    catalogue's cache, routing and load shedding, so that a refusal costs as little as possible.
    """

    def __init__(self, app: ASGIApp, *, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond 429. Health checks, which must not fail, do not count."""
        # There is no client if the server listens on a Unix socket.
        client = scope.get("client")
        if client is not None and scope["type"] == "http" and scope["path"] not in HEALTH_CHECKS:
            # A proxy that passes on what the client sends could make it longer.
            address: str = client[0][:_MAX_ADDRESS_CHARACTERS]
            network = _network_of_ipv6(address) if ":" in address else address
            wait = self._counts.wait(network, monotonic_ns())
            if wait:
                await self._refuse(math.ceil(wait / _NANOSECONDS), scope, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, seconds: int, scope: Scope, send: Send) -> None:
        """Send the response. Raising a `Problem` would take more CPU time."""
        extensions = {
            "policy": _POLICY,
            "quota": self._counts.quota,
            "window_seconds": WINDOW_SECONDS,
            "retry_after": seconds,
        }
        detail = f"Too many requests from your network. Try again in {seconds} seconds."
        await respond(scope, send, _PROBLEM, detail, extensions=extensions)


def request_limit(counts: RequestCounts) -> Callable[[ASGIApp], RequestLimit]:
    """Return middleware that counts requests, and refuses those above the quota."""
    return partial(RequestLimit, counts=counts)
