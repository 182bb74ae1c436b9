"""Says what happens in a process: one line per event, for machines as JSON, for people in colour.

The shop's own events come through structlog, those of libraries through `logging`, and requests
from `RequestLog`; all of them become lines here, so that all look alike and none can forge another.
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

from orderly.http.tracebacks import described

Event = MutableMapping[str, Any]

# What a client may call its request: enough for its own ids, nothing that needs escaping.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 500
_SERVER_FAULT = 500

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

_request: ContextVar[dict[str, Any] | None] = ContextVar("request", default=None)


class EventLog:
    """Writes events of at least one level to a stream, one line each."""

    def __init__(
        self, stream: BinaryIO, render: Callable[[Event], bytes], *, threshold: int
    ) -> None:
        self._stream = stream
        self._render = render
        self.threshold = threshold

    def write(self, level: str, event: Event) -> None:
        """Write an event that is not below the threshold."""
        if _LEVELS[level] >= self.threshold:
            self.write_line(self._render({"timestamp": _now(), "level": level, **event}))

    def write_line(self, line: bytes) -> None:
        """Write a line in one piece. That nobody can read the log any more stops no request."""
        with suppress(OSError, ValueError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    # The methods that structlog asks its innermost logger for
    debug = info = warning = error = critical = write_line

    def render_structlog(self, _logger: object, level: str, event: Event) -> bytes:
        """Render an event of structlog: the only processor that structlog is given."""
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()[1]
        if isinstance(error, BaseException):
            event["exception"] = _told(error)
        about = {"timestamp": _now(), "level": level, "event": ""}
        return self._render({**about, **event, **_context()})


class _LoggerFactory:
    """What structlog calls for its innermost logger; keeps the log where RequestLog finds it."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def __call__(self, *_names: str) -> EventLog:
        return self.log


def configure(level: str, log_format: str, stream: BinaryIO | None = None) -> None:
    """Send all events of this process that are at least of a level to a stream.

    The stream is standard error unless another is given. The format `auto` is `console` on a
    terminal and `json` elsewhere. structlog and `logging` keep the log, for the whole process.
    """
    stream = stream or sys.stderr.buffer
    is_terminal = stream.isatty()
    is_json = log_format == "json" or (log_format == "auto" and not is_terminal)
    render = _as_json if is_json else _for_people(colors=is_terminal)
    log = EventLog(stream, render, threshold=_LEVELS[level])
    structlog.configure(
        processors=[log.render_structlog],
        wrapper_class=structlog.make_filtering_bound_logger(log.threshold),
        logger_factory=_LoggerFactory(log),
    )
    # Libraries log from the level warning; below it, Peewee would log each statement.
    logging.basicConfig(handlers=[_FromLogging(log)], level=logging.WARNING, force=True)


def _configured_log() -> EventLog | None:
    factory = structlog.get_config()["logger_factory"]
    return factory.log if isinstance(factory, _LoggerFactory) else None


class RequestLog:
    """Gives each request an id and tells of each, once, when it has been answered.

    Inner layers find the request's facts as `scope["orderly"]`, and put theirs there:
    `operation_id`, `user_id`. Whatever is logged meanwhile carries them too. The `headers` that
    they put there go out with the answer, whoever gives it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = _configured_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer comes back with `X-Request-ID`."""
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

        token = _request.set(facts)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            status = status or _SERVER_FAULT
            event = {"event": "unexpected_error", **_context(), "exception": _told(error)}
            if self._log is not None:
                self._log.write("error", event)
            raise
        finally:
            _request.reset(token)
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
    """Log a request. Its query is left out: people's names and addresses are searched for there.

    The path is told as it was sent, still percent-encoded; the status is null where the client
    went away before there was one.
    """
    level = "error" if status is not None and status >= _SERVER_FAULT else "info"
    if _LEVELS[level] < log.threshold:
        return
    client = scope.get("client")
    event: Event = {
        "event": "request",
        "method": scope["method"],
        "path": scope["raw_path"][:_LONGEST_PATH].decode("ascii", "replace"),
        "operation_id": facts["operation_id"],
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "user_id": facts["user_id"],
        "client": client[0] if client else None,
        "request_id": facts["request_id"],
    }
    log.write(level, event)


def _context() -> Event:
    """Return what is known of the request that this thread or task works for."""
    facts = _request.get() or {}
    # By name, since inner layers keep the caller's credential beside these.
    return {
        name: facts[name] for name in ("operation_id", "user_id", "request_id") if name in facts
    }


class _FromLogging(logging.Handler):
    """Takes what libraries log; an error that was told of already is not told of again."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and getattr(error, _TOLD, False):
            return
        event: Event = {"event": record.getMessage(), "logger": record.name}
        if error is not None:
            event["exception"] = _told(error)
        level = record.levelname.lower()
        self._log.write(level if level in _LEVELS else "error", {**event, **_context()})


_TOLD = "__orderly_told__"


def _told(error: BaseException) -> str:
    with suppress(AttributeError, TypeError):
        setattr(error, _TOLD, True)
    return described(error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_json(event: Event) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a lone surrogate, or a number beyond 64 bits
        return orjson.dumps({name: ascii(value) for name, value in event.items()})


def _for_people(*, colors: bool) -> Callable[[Event], bytes]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=10)

    def render(event: Event) -> bytes:
        shown = {
            name: _printable(value, but="\n" if name == "exception" else "")
            for name, value in event.items()
            if value is not None
        }
        return renderer(None, "", shown).encode(errors="backslashreplace")

    return render


def _printable(value: object, *, but: str) -> str:
    """Return text in which nothing moves a terminal's cursor or feigns another line or field."""
    return "".join(
        one if one.isprintable() or one in but else one.encode("unicode_escape").decode()
        for one in str(value)
    )
