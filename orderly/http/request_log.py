"""Gives each request an id, and logs each request."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.actor import COMMAND_LINE, DEMO
from orderly.http.logging import (
    LEVELS,
    Event,
    EventLog,
    configured_log,
    format_and_mark,
    request_facts,
    request_fields,
)
from orderly.http.security_headers import API_POLICY

# The request ids that clients may set. No character of them needs escaping.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Requests must not look like commands in the log: compared without case and punctuation.
_PUNCTUATION = b"._-"
_INTERNAL_IDS = {one.encode().translate(None, _PUNCTUATION) for one in (COMMAND_LINE, DEMO)}
_MAX_PATH_BYTES = 500
_INTERNAL_SERVER_ERROR = 500


class RequestLog:
    """ASGI middleware that gives each request an id and logs the request after its response.

    `scope["orderly"]` is a dictionary of facts about the request. Inner layers add `operation_id`
    and `user_id`, which then appear in every line that is logged during the request. They can also
    replace `headers`, which are added to the response, even if it is an error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = configured_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request. Add `X-Request-ID` to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        facts: dict[str, Any] = {
            "request_id": request_id,
            "operation_id": None,
            "user_id": None,
            "headers": API_POLICY,
        }
        scope["orderly"] = facts
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    *message.get("headers", ()),
                    *facts["headers"],
                    (b"x-request-id", request_id.encode()),
                ]
                message = {**message, "headers": headers}
            await send(message)

        token = request_facts.set(facts)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            status = status or _INTERNAL_SERVER_ERROR
            event = {
                "event": "unexpected_error",
                **request_fields(),
                "exception": format_and_mark(error),
            }
            if self._log is not None:
                self._log.write("error", event)
            raise
        finally:
            request_facts.reset(token)
            if self._log is not None:
                _log_request(self._log, scope, status, facts, perf_counter() - started)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _is_allowed(value):
            text: str = value.decode()
            return text
    return str(uuid_utils.uuid7())


def _is_allowed(request_id: bytes) -> bool:
    is_internal = request_id.lower().translate(None, _PUNCTUATION) in _INTERNAL_IDS
    return _REQUEST_ID.fullmatch(request_id) is not None and not is_internal


def _log_request(
    log: EventLog, scope: Scope, status: int | None, facts: dict[str, Any], seconds: float
) -> None:
    """Log a request, without its query string: search terms can be names and email addresses.

    The path is still percent-encoded. The status is null if the client disconnected before the
    response began.
    """
    level = "error" if status is not None and status >= _INTERNAL_SERVER_ERROR else "info"
    if LEVELS[level] < log.threshold:
        return
    client = scope.get("client")
    event: Event = {
        "event": "request",
        "method": scope["method"],
        "path": scope["raw_path"][:_MAX_PATH_BYTES].decode("ascii", "replace"),
        "operation_id": facts["operation_id"],
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "user_id": facts["user_id"],
        "client": client[0] if client else None,
        "request_id": facts["request_id"],
    }
    log.write(level, event)
