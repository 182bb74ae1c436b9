"""Refuses requests early while the server is overloaded, and reads the deadline of a request."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from orderly.http import server_state
from orderly.http.error_responses import respond
from orderly.http.problems import Problem
from orderly.http.slots import CLIENT_GONE, DEADLINE_PASSED, Client, Load, Shed, Slots

# An absolute time: seconds since 1970, like Nginx's variable `$msec`.
_DEADLINE = b"x-request-deadline"
# A relative time: milliseconds from now. Envoy sends this header.
_TIMEOUT = b"x-envoy-expected-rq-timeout-ms"
_NUMBER = re.compile(rb"[0-9]{1,15}(\.[0-9]{1,9})?")
# Random, so that clients that were refused at the same time do not all retry at the same time
_RETRY_AFTER_SECONDS = (1, 3)
_PROBLEM = "service_unavailable"
_DETAILS = {
    DEADLINE_PASSED: "The deadline of the request had passed before the server could process it.",
}


class LoadShedding:
    """ASGI middleware that refuses requests which would wait for too long.

    It runs after routing, because the contract defines the priority of each operation, and before
    authentication and validation, which cost CPU time.
    """

    def __init__(self, app: ASGIApp, *, slots: Slots) -> None:
        self._app = app
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond 503; do not respond to a client that has disconnected.

        Raises:
            Problem: `malformed_request`: the deadline is invalid.
        """
        if scope["type"] == "http":
            request_facts = scope["orderly"]
            load: Load | None = request_facts.get("load")
            if load is not None:  # an operation of the contract
                try:
                    self._slots.check_capacity(load)
                    request_facts["client"] = _client(scope)
                    await self._app(scope, receive, send)
                except Shed as shed:
                    if shed.reason == CLIENT_GONE:
                        scope[server_state.CLIENT_GONE] = True
                    else:
                        await _refuse(shed, scope, send)
                return
        await self._app(scope, receive, send)


def load_shedding(slots: Slots) -> Callable[[ASGIApp], ASGIApp]:
    """Return middleware that refuses requests that would wait for too long."""
    return partial(LoadShedding, slots=slots)


def _client(scope: Scope) -> Client:
    """Return the deadline of a request, and a function that checks its connection.

    Raises:
        Problem: `malformed_request`: the deadline is not a number.
    """
    deadline = math.inf
    for name, value in scope["headers"]:
        if name == _DEADLINE:
            deadline = min(deadline, _number(value, "X-Request-Deadline") - time.time())
        elif name == _TIMEOUT:
            deadline = min(deadline, _number(value, "X-Envoy-Expected-Rq-Timeout-Ms") / 1000)
    state = scope.get("state")
    return Client(
        deadline if deadline == math.inf else time.monotonic() + deadline,
        state.get(server_state.IS_CONNECTED) if state else None,
    )


def _number(value: bytes, name: str) -> float:
    if not _NUMBER.fullmatch(value):
        error = {"parameter": name, "in": "header", "code": "type", "message": "must be a number"}
        raise Problem("malformed_request", "A header of the request is invalid.", errors=[error])
    return float(value)


async def _refuse(shed: Shed, scope: Scope, send: Send) -> None:
    """Send the response. Raising a `Problem` would take more CPU time."""
    detail = _DETAILS.get(shed.reason, "The server is overloaded.")
    retry_after = random.randint(*_RETRY_AFTER_SECONDS)  # noqa: S311  # jitter, not a secret
    await respond(scope, send, _PROBLEM, detail, headers={"Retry-After": str(retry_after)})
