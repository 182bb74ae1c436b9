"""The log of a process: one line for each event, as JSON or as coloured text for a console.

Orderly logs through structlog, libraries through `logging`, and requests through `RequestLog`. This
module writes all of their events, so all lines have one format, and no value can forge a line.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, BinaryIO

import orjson
import structlog
import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orderly.http.tracebacks import format_error

Event = MutableMapping[str, Any]

# The request ids that clients may set. No character of them needs escaping.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MAX_PATH_BYTES = 500
_INTERNAL_SERVER_ERROR = 500

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# The facts of the request that the current task or thread is processing
_request_facts: ContextVar[dict[str, Any] | None] = ContextVar("request_facts", default=None)


class EventLog:
    """Writes events to a stream, one line for each, if their level reaches the threshold."""

    def __init__(
        self, stream: BinaryIO, render: Callable[[Event], bytes], *, threshold: int
    ) -> None:
        self._stream = stream
        self._render = render
        self.threshold = threshold

    def write(self, level: str, event: Event) -> None:
        """Write an event, unless its level is below the threshold."""
        if _LEVELS[level] >= self.threshold:
            self.write_line(self._render({"timestamp": _now(), "level": level, **event}))

    def write_line(self, line: bytes) -> None:
        """Write a line with one call. Ignore a closed stream or pipe, so that no request fails."""
        with suppress(OSError, ValueError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    # structlog calls the method that is named like the level of the event.
    debug = info = warning = error = critical = write_line

    def render_structlog(self, _logger: object, level: str, event: Event) -> bytes:
        """Render an event of structlog. This is the only processor of structlog."""
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()[1]
        if isinstance(error, BaseException):
            event["exception"] = _format_once(error)
        first_fields = {"timestamp": _now(), "level": level, "event": ""}
        return self._render({**first_fields, **event, **_context()})


class _LoggerFactory:
    """Returns the log to structlog. `_configured_log` finds the log through this object."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def __call__(self, *_names: str) -> EventLog:
        return self.log


def configure(level: str, log_format: str, stream: BinaryIO | None = None) -> None:
    """Set up structlog and `logging` for the whole process.

    Args:
        level: The lowest level to log.
        log_format: `json`, `console`, or `auto`: `console` on a terminal and `json` elsewhere.
        stream: Where to write. The default is standard error.
    """
    stream = stream or sys.stderr.buffer
    is_terminal = stream.isatty()
    is_json = log_format == "json" or (log_format == "auto" and not is_terminal)
    render = _render_json if is_json else _console_renderer(colors=is_terminal)
    log = EventLog(stream, render, threshold=_LEVELS[level])
    structlog.configure(
        processors=[log.render_structlog],
        wrapper_class=structlog.make_filtering_bound_logger(log.threshold),
        logger_factory=_LoggerFactory(log),
    )
    # Libraries log from level warning: at level debug, Peewee would log every statement.
    logging.basicConfig(handlers=[_LoggingHandler(log)], level=logging.WARNING, force=True)


def _configured_log() -> EventLog | None:
    factory = structlog.get_config()["logger_factory"]
    return factory.log if isinstance(factory, _LoggerFactory) else None


class RequestLog:
    """ASGI middleware that gives each request an id and logs the request after its response.

    `scope["orderly"]` is a dictionary of facts about the request. Inner layers add `operation_id`
    and `user_id`, which then appear in every line that is logged during the request. They can also
    add `headers`, which are added to the response, even if it is an error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = _configured_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request. Add `X-Request-ID` to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        facts: dict[str, Any] = {"request_id": request_id, "operation_id": None, "user_id": None}
        scope["orderly"] = facts
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    *message.get("headers", ()),
                    *facts.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
                message = {**message, "headers": headers}
            await send(message)

        token = _request_facts.set(facts)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            status = status or _INTERNAL_SERVER_ERROR
            event = {"event": "unexpected_error", **_context(), "exception": _format_once(error)}
            if self._log is not None:
                self._log.write("error", event)
            raise
        finally:
            _request_facts.reset(token)
            if self._log is not None:
                _log_request(self._log, scope, status, facts, perf_counter() - started)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            text: str = value.decode()
            return text
    return str(uuid_utils.uuid7())


def _log_request(
    log: EventLog, scope: Scope, status: int | None, facts: dict[str, Any], seconds: float
) -> None:
    """Log a request, without its query string: search terms can be names and email addresses.

    The path is still percent-encoded. The status is null if the client disconnected before the
    response began.
    """
    level = "error" if status is not None and status >= _INTERNAL_SERVER_ERROR else "info"
    if _LEVELS[level] < log.threshold:
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


def _context() -> Event:
    """Return the fields that identify the request of the current task or thread."""
    facts = _request_facts.get() or {}
    # Only these fields: the facts also contain the credential of the client.
    return {
        name: facts[name] for name in ("operation_id", "user_id", "request_id") if name in facts
    }


class _LoggingHandler(logging.Handler):
    """Writes what libraries log, except errors whose traceback was logged before."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and getattr(error, _LOGGED, False):
            return
        event: Event = {"event": record.getMessage(), "logger": record.name}
        if error is not None:
            event["exception"] = _format_once(error)
        level = record.levelname.lower()
        self._log.write(level if level in _LEVELS else "error", {**event, **_context()})


# Attribute of an error whose traceback was logged
_LOGGED = "__orderly_logged__"


def _format_once(error: BaseException) -> str:
    """Return the traceback of an error, and mark the error as logged."""
    with suppress(AttributeError, TypeError):
        setattr(error, _LOGGED, True)
    return format_error(error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _render_json(event: Event) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return orjson.dumps({name: ascii(value) for name, value in event.items()})


def _console_renderer(*, colors: bool) -> Callable[[Event], bytes]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=10)

    def render(event: Event) -> bytes:
        printable = {
            name: _escape(value, allowed="\n" if name == "exception" else "")
            for name, value in event.items()
            if value is not None
        }
        return renderer(None, "", printable).encode(errors="backslashreplace")

    return render


def _escape(value: object, *, allowed: str) -> str:
    """Return text with escaped control characters: none can control a terminal or forge a line."""
    return "".join(
        char if char.isprintable() or char in allowed else char.encode("unicode_escape").decode()
        for char in str(value)
    )
