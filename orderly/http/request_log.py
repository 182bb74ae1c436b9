"""Gives each request an id, and logs each request."""

from __future__ import annotations

import math
import re
from random import random
from time import perf_counter
from typing import Any

import structlog
import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database.use import DatabaseUse, current_use
from domain.actor import COMMAND_LINE, DEMO
from orderly.http.error_responses import respond_internal_error
from orderly.http.logging import (
    LEVELS,
    Event,
    EventLog,
    configured_log,
    now,
    request_facts,
)
from orderly.http.metrics import RequestMetrics
from orderly.http.security_headers import API_POLICY
from orderly.http.server_state import CLIENT_GONE, TRACE_ID

# The request ids that clients may set. No character of them needs escaping.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Ids that Orderly itself logs. Clients may not set them, in any case or punctuation, so that no
# request looks like a command in the log.
_PUNCTUATION = b"._-"
_INTERNAL_IDS = {one.encode().translate(None, _PUNCTUATION) for one in (COMMAND_LINE, DEMO)}
_MAX_PATH_BYTES = 500
_BAD_REQUEST = 400
_INTERNAL_SERVER_ERROR = 500


class RequestLog:
    """ASGI middleware that gives each request an id and logs the request after its response.

    `scope["orderly"]` is a dictionary of facts about the request. Inner layers add `operation_id`,
    `user_id` and `problem` (the code of the problem document). The first two then appear in every
    line that is logged during the request. They can also replace `headers`, which are added to the
    response, even if it is an error. `database` has the round trips to PostgreSQL and their time.
    `status` is None until the response begins.

    A request that takes `slow_seconds` or longer is logged as a warning. Of the other requests that
    succeed, a random sample is logged: `sample_rate` is its share, from 0 to 1.
    `metrics` counts all requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        slow_seconds: float = math.inf,
        sample_rate: float = 1.0,
        metrics: RequestMetrics | None = None,
    ) -> None:
        self._app = app
        self._log = configured_log()
        self._slow_seconds = slow_seconds
        self._sample_rate = sample_rate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request. Add `X-Request-ID` to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        metrics = self._metrics
        if metrics is not None:
            metrics.in_flight += 1
        tokens = request_facts.set(exchange.facts), current_use.set(exchange.use)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # A bug of a middleware outside `ErrorResponses`, or an error after the response began
            structlog.get_logger("orderly").error("unexpected_error", exc_info=error)
            if exchange.facts["status"] is not None:
                raise
            await respond_internal_error(scope, exchange.send)
        finally:
            request_facts.reset(tokens[0])
            current_use.reset(tokens[1])
            seconds = perf_counter() - exchange.started
            if metrics is not None:
                metrics.in_flight -= 1
                metrics.count(exchange.facts, exchange.facts["status"], seconds, exchange.use)
            if self._log is not None:
                self._log_request(self._log, exchange, seconds)

    def _log_request(self, log: EventLog, exchange: _Exchange, seconds: float) -> None:
        is_slow = seconds >= self._slow_seconds
        status = exchange.facts["status"]
        if status is not None and status >= _INTERNAL_SERVER_ERROR:
            level = "error"
        else:
            level = "warning" if is_slow else "info"
        if LEVELS[level] < log.threshold:
            return
        event = exchange.event(level, log.pid, seconds, is_slow=is_slow)
        if self._sample_rate < 1 and not is_slow and exchange.is_success():
            if random() >= self._sample_rate:  # noqa: S311  # not a secret
                return
            event["sample_rate"] = self._sample_rate
        log.write_complete(event)


class _Exchange:
    """A request and its response."""

    __slots__ = (
        "_receive",
        "_request_id",
        "_scope",
        "_send",
        "bytes_in",
        "bytes_out",
        "facts",
        "started",
        "use",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = perf_counter()
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = _request_id(scope)
        self.bytes_in = self.bytes_out = 0
        self.use = DatabaseUse()
        self.facts: dict[str, Any] = {
            "request_id": self._request_id,
            "operation_id": None,
            "user_id": None,
            "problem": None,
            "status": None,
            "headers": API_POLICY,
            "database": self.use,
        }
        if TRACE_ID in scope:
            self.facts["trace_id"] = scope[TRACE_ID]
        scope["orderly"] = self.facts

    async def receive(self) -> Message:
        """Receive a message from the server; count the bytes of a body."""
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Send a message to the server. Add headers to the response, and count its bytes."""
        if message["type"] == "http.response.start":
            self.facts["status"] = message["status"]
            headers = [
                *message.get("headers", ()),
                *self.facts["headers"],
                (b"x-request-id", self._request_id.encode()),
            ]
            message = {**message, "headers": headers}
        else:
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    def is_success(self) -> bool:
        """Return whether the client has received the whole response, and it is not an error."""
        return (
            self.facts["status"] is not None
            and self.facts["status"] < _BAD_REQUEST
            and CLIENT_GONE not in self._scope
        )

    def event(self, level: str, pid: int, seconds: float, *, is_slow: bool) -> Event:
        """Return the log event, without the query string: search terms can be personal names.

        The path is still percent-encoded. docs/operations/logs.md describes each field.
        """
        scope, facts, use = self._scope, self.facts, self.use
        client = scope.get("client")
        event: Event = {
            "timestamp": now(),
            "level": level,
            "event": "request",
            "method": scope["method"],
            "path": scope["raw_path"][:_MAX_PATH_BYTES].decode("ascii", "replace"),
            "operation_id": facts["operation_id"],
            "status": facts["status"],
            "problem": facts["problem"],
            "duration_ms": round(seconds * 1000, 3),
            "slow": is_slow,
            "database_ms": round(use.seconds * 1000, 3),
            "round_trips": use.round_trips,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "client_gone": CLIENT_GONE in scope,
            "user_id": facts["user_id"],
            "client": client[0] if client else None,
            "request_id": self._request_id,
            "pid": pid,
        }
        if "trace_id" in facts:
            event["trace_id"] = facts["trace_id"]
        return event


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _is_allowed(value):
            text: str = value.decode()
            return text
    return str(uuid_utils.uuid7())


def _is_allowed(request_id: bytes) -> bool:
    is_internal = request_id.lower().translate(None, _PUNCTUATION) in _INTERNAL_IDS
    return _REQUEST_ID.fullmatch(request_id) is not None and not is_internal
