"""The log of a process: one line for each event, as JSON or as coloured text for a console.

Orderly logs through structlog, libraries log through `logging`, and `RequestLog` logs requests.
This module writes all of their events, so all lines have one format, and log injection is
impossible: no value can forge a line.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

from orderly.http.log_writer import FileSink, LogWriter, Sink, StreamSink
from orderly.http.tracebacks import format_error
from orderly.settings import Settings, SettingsError

Event = MutableMapping[str, Any]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# The facts of the request that the current task or thread is processing
request_facts: ContextVar[dict[str, Any] | None] = ContextVar("request_facts", default=None)


class EventLog:
    """Writes events to a sink, one line for each, if their level reaches the threshold."""

    def __init__(self, sink: Sink, render: Callable[[Event], bytes], *, threshold: int) -> None:
        self._writer = LogWriter(sink, self._render_dropped)
        self._render = render
        self.threshold = threshold
        # Distinguishes processes that write to the same log.
        self.pid = os.getpid()

    def write(self, level: str, event: Event) -> None:
        """Write an event, unless its level is below the threshold."""
        if LEVELS[level] >= self.threshold:
            self.write_complete({"timestamp": now(), "level": level, **event})

    def write_complete(self, event: Event) -> None:
        """Write an event that has its timestamp and level."""
        self.write_line(self._render(event))

    def write_line(self, line: bytes) -> None:
        """Queue a line. It is written by a thread, so that no request waits or fails."""
        self._writer.put(line + b"\n")

    def flush(self) -> None:
        """Wait until all lines are written, at most two seconds."""
        self._writer.flush()

    def close(self) -> None:
        """Write the queued lines, and stop the writer thread."""
        self._writer.close()

    def _render_dropped(self, count: int) -> bytes:
        event = {"event": "log_lines_dropped", "count": count, "pid": self.pid}
        return self._render({"timestamp": now(), "level": "warning", **event}) + b"\n"

    # structlog calls the method that is named like the level of the event.
    debug = info = warning = error = critical = write_line

    def render_structlog(self, _logger: object, level: str, event: Event) -> bytes:
        """Render an event of structlog. This is the only processor of structlog."""
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exc_info()[1]
        if isinstance(error, BaseException):
            event["exception"] = format_and_mark(error)
        first_fields = {"timestamp": now(), "level": level, "event": ""}
        return self._render({**first_fields, **event, **request_fields()})


class _LoggerFactory:
    """Returns the log to structlog. `configured_log` finds the log through this object."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def __call__(self, *_names: str) -> EventLog:
        return self.log


def configure(
    level: str, log_format: str, stream: BinaryIO | None = None, *, file: Path | None = None
) -> None:
    """Set up structlog and `logging` for the whole process.

    Args:
        level: The lowest level to log.
        log_format: `json`, `console`, or `auto`: `console` on a terminal and `json` elsewhere.
        stream: Where to write. The default is standard error.
        file: Where to write instead.

    Raises:
        OSError: the file cannot be opened.
    """
    stream = stream or sys.stderr.buffer
    sink: Sink = StreamSink(stream) if file is None else FileSink(file)
    is_terminal = file is None and stream.isatty()
    is_json = log_format == "json" or (log_format == "auto" and not is_terminal)
    render = _render_json if is_json else _console_renderer(colors=is_terminal)
    _close_configured()
    log = EventLog(sink, render, threshold=LEVELS[level])
    structlog.configure(
        processors=[log.render_structlog],
        wrapper_class=structlog.make_filtering_bound_logger(log.threshold),
        logger_factory=_LoggerFactory(log),
    )
    # Libraries log from level warning: at level debug, Peewee would log every statement.
    logging.basicConfig(handlers=[_LoggingHandler(log)], level=logging.WARNING, force=True)


def configure_for(settings: Settings) -> None:
    """Set up the log that the settings describe.

    Raises:
        SettingsError: the log file cannot be opened.
    """
    try:
        configure(settings.log_level, settings.log_format, file=settings.log_file)
    except OSError as error:
        message = f"Cannot be opened for appending: {error.strerror}."
        raise SettingsError([("ORDERLY_LOG_FILE", message)]) from error


def flush() -> None:
    """Wait until all lines are written, at most two seconds. `os._exit` does not do this."""
    log = configured_log()
    if log is not None:
        log.flush()


@atexit.register
def _close_configured() -> None:
    log = configured_log()
    if log is not None:
        log.close()


def configured_log() -> EventLog | None:
    """Return the log that `configure` has set up; None if it was not called yet."""
    factory = structlog.get_config()["logger_factory"]
    return factory.log if isinstance(factory, _LoggerFactory) else None


def request_fields() -> Event:
    """Return the fields that identify the request of the current task or thread."""
    facts = request_facts.get() or {}
    # Only these fields: the facts also contain the credential of the client.
    return {
        name: facts[name]
        for name in ("operation_id", "user_id", "request_id", "trace_id")
        if name in facts
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
            event["exception"] = format_and_mark(error)
        level = record.levelname.lower()
        self._log.write(level if level in LEVELS else "error", {**event, **request_fields()})


# The attribute that marks an error as logged
_LOGGED = "__orderly_logged__"


def format_and_mark(error: BaseException) -> str:
    """Return an error with its traceback, and mark the error as logged."""
    with suppress(AttributeError, TypeError):
        setattr(error, _LOGGED, True)
    return format_error(error)


def now() -> str:
    """Return the current time as text: RFC 3339, in UTC, with milliseconds."""
    return _format_milliseconds(time.time_ns() // 1_000_000)


# Cached, since many requests end within the same millisecond.
@lru_cache(2)
def _format_milliseconds(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


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
    """Escape control characters, which could control a terminal or forge a line."""
    return "".join(
        char if char.isprintable() or char in allowed else char.encode("unicode_escape").decode()
        for char in str(value)
    )
