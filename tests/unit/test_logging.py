"""Logs of requests and errors: what they contain, and what they never contain."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import peewee
import psycopg2
import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from database.use import current_use
from orderly.http.logging import configure, flush
from orderly.http.request_log import RequestLog
from orderly.http.server_state import CLIENT_GONE

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@pytest.fixture(autouse=True)
def _restore_logging_after_test() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


class Log:
    """A log in memory."""

    def __init__(self, level: str = "info", log_format: str = "json") -> None:
        self.stream = io.BytesIO()
        configure(level, log_format, self.stream)

    @property
    def text(self) -> str:
        flush()
        return self.stream.getvalue().decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


async def respond(scope: Scope, _receive: Receive, send: Send) -> None:
    """Send the response of an operation that a signed-in user called."""
    scope["orderly"].update(operation_id="get_order", user_id=UUID(int=7), principal="hunter2")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"1"')]})
    await send({"type": "http.response.body", "body": b"{}"})


def request(
    app: App,
    path: str = "/api/v1/orders/7",
    *,
    options: dict[str, float] | None = None,
    body: bytes = b"",
    **headers: str,
) -> dict[str, str]:
    """Send a request to an application with a log; return the headers of the response.

    `options` are those of `RequestLog`.
    """
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"q=hunter2",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
        "client": ("192.0.2.1", 50000),
    }

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    log = RequestLog(app, **(options or {}))  # type: ignore[arg-type]
    asyncio.run(log(scope, receive, send))
    fields = sent[0]["headers"] if sent else []
    return {name.decode(): value.decode() for name, value in fields}


def test_a_request_is_one_line_with_its_properties() -> None:
    log = Log()

    headers = request(respond)

    (event,) = log.events
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    assert 0 <= event.pop("duration_ms") < 1000
    assert os.getpid() == event.pop("pid")
    assert {
        "level": "info",
        "event": "request",
        "method": "GET",
        "path": "/api/v1/orders/7",
        "operation_id": "get_order",
        "status": 200,
        "problem": None,
        "slow": False,
        "database_ms": 0.0,
        "round_trips": 0,
        "bytes_in": 0,
        "bytes_out": 2,
        "client_gone": False,
        "user_id": "00000000-0000-0000-0000-000000000007",
        "client": "192.0.2.1",
        "request_id": headers["x-request-id"],
    } == event
    assert "hunter2" not in log.text


def test_the_line_has_the_problem_the_sizes_and_the_cost_in_the_database() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope["orderly"]["problem"] = "not_found"
        use = current_use.get()
        assert use is scope["orderly"]["database"]
        use.round_trips, use.seconds = 3, 0.0123456
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        await send({"type": "http.response.body", "body": b"678"})

    log = Log()

    request(refuse, body=b"1234")

    (event,) = log.events
    expected = {
        "problem": "not_found",
        "round_trips": 3,
        "database_ms": 12.346,
        "bytes_in": 4,
        "bytes_out": 8,
        "client_gone": False,
    }
    assert expected.items() <= event.items()


def test_a_request_whose_client_has_left_is_marked() -> None:
    async def lose(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_GONE] = True

    log = Log()

    request(lose)

    assert [(True, None)] == [(event["client_gone"], event["status"]) for event in log.events]


def test_a_slow_request_is_a_warning() -> None:
    log = Log(level="warning")

    request(respond, options={"slow_seconds": 0})
    request(respond, options={"slow_seconds": 60})

    assert [("warning", True)] == [(event["level"], event["slow"]) for event in log.events]


def test_of_successful_requests_a_sample_is_logged_and_of_others_all() -> None:
    def fail_with(status: int) -> App:
        async def fail(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": status, "headers": []})

        return fail

    async def lose(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_GONE] = True
        await respond(scope, receive, send)

    log = Log()
    for _ in range(1000):
        request(respond, options={"sample_rate": 0.1})
    sampled = log.events
    for app in (fail_with(404), fail_with(503), lose):
        request(app, options={"sample_rate": 0})
    request(respond, options={"sample_rate": 0, "slow_seconds": 0})
    request(respond, options={"sample_rate": 0})

    assert 40 < len(sampled) < 160  # six standard deviations
    assert {0.1} == {event["sample_rate"] for event in sampled}
    always = log.events[len(sampled) :]
    assert [404, 503, 200, 200] == [event["status"] for event in always]
    assert not any("sample_rate" in event for event in always)


def test_the_response_has_a_request_id_and_keeps_its_own_headers() -> None:
    headers = request(respond)

    assert '"1"' == headers["etag"]
    assert 7 == UUID(headers["x-request-id"]).version


def test_a_valid_request_id_of_the_client_is_used() -> None:
    log = Log()

    headers = request(respond, x_request_id="Order-7.retry_2")

    assert "Order-7.retry_2" == headers["x-request-id"]
    assert "Order-7.retry_2" == log.events[0]["request_id"]


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "x" * 65, "é", "a;b", '"a"'])
def test_an_invalid_request_id_is_replaced(given: str) -> None:
    headers = request(respond, x_request_id=given)

    assert 7 == UUID(headers["x-request-id"]).version


def test_at_level_warning_only_failed_requests_are_logged() -> None:
    async def fail(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})

    log = Log(level="warning")

    request(respond)
    request(fail)

    assert [("error", 503)] == [(event["level"], event["status"]) for event in log.events]


def test_an_uncaught_error_is_logged_once_with_its_traceback() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        scope["orderly"]["operation_id"] = "get_order"
        raise LookupError("no such shelf")

    log = Log()

    headers = request(fail, x_request_id="abc")

    assert "application/problem+json" == headers["content-type"]
    error, request_event = log.events
    assert ("error", "unexpected_error", "abc") == (
        error["level"],
        error["event"],
        error["request_id"],
    )
    assert 'raise LookupError("no such shelf")' in error["exception"]
    assert error["exception"].endswith("LookupError: no such shelf")
    assert ("request", 500, "internal_error") == (
        request_event["event"],
        request_event["status"],
        request_event["problem"],
    )


def test_an_error_after_the_response_has_begun_is_passed_on_and_logged_once() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("no such shelf")

    log = Log()

    with pytest.raises(LookupError) as caught:
        request(fail)
    # Uvicorn logs every exception that reaches it in this way, and closes the connection.
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=caught.value)

    assert ["unexpected_error", "request"] == [event["event"] for event in log.events]
    assert 200 == log.events[1]["status"]


def test_a_message_logged_during_a_request_has_its_id_and_no_secret() -> None:
    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        scope["orderly"].update(operation_id="login", principal="hunter2")
        structlog.get_logger("orderly").warning("slow", seconds=3)
        logging.getLogger("some.library").warning("retrying %s", "soon")
        await respond(scope, receive, send)

    log = Log()

    request(note, x_request_id="abc")

    own, library, _ = log.events
    assert ("slow", 3, "login", "abc") == (
        own["event"],
        own["seconds"],
        own["operation_id"],
        own["request_id"],
    )
    assert ("retrying soon", "some.library", "abc") == (
        library["event"],
        library["logger"],
        library["request_id"],
    )
    assert "hunter2" not in log.text


def test_libraries_log_from_level_warning_on_and_peewee_logs_no_statements() -> None:
    log = Log(level="debug")

    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("peewee").debug(("SELECT * FROM users WHERE email = %s", ["ada@example.com"]))

    assert "" == log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_logged_value_cannot_forge_a_log_line(log_format: str) -> None:
    log = Log(log_format=log_format)

    request(respond, path="/a\n2026-01-01T00:00:00Z [info] request\x1b[2J\u202e")
    structlog.get_logger("orderly").info("note", text="one\r\ntwo\x85three", odd="\udcff")

    assert 2 == len(log.text.rstrip("\n").split("\n"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", log.text)


def test_the_console_format_has_multi_line_tracebacks() -> None:
    log = Log(log_format="console")

    try:
        raise LookupError("no such shelf\x1b[2J")
    except LookupError:
        structlog.get_logger("orderly").exception("broken")

    assert "\nLookupError: no such shelf\\x1b[2J\n" in log.text


def test_a_database_error_is_logged_without_statement_and_row(database_url: str) -> None:
    log = Log()
    connection = psycopg2.connect(database_url)
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE person (email text CONSTRAINT uq_person UNIQUE)")
    row = ["ada" + "@example.com"]
    cursor.execute("INSERT INTO person VALUES (%s)", row)
    try:
        with peewee.__exception_wrapper__:
            cursor.execute("INSERT INTO person VALUES (%s)", row)
    except peewee.IntegrityError as error:
        structlog.get_logger("orderly").error("unexpected_error", exc_info=error)
    connection.close()

    assert row[0] not in log.text
    assert "peewee.IntegrityError: SQLSTATE 23505, constraint uq_person" in log.text


def test_a_failed_connection_is_logged_with_its_reason_and_without_the_password() -> None:
    log = Log()
    url = "postgresql://shop:hunter2@127.0.0.1:1/shop"
    try:
        psycopg2.connect(url, connect_timeout=2)
    except psycopg2.OperationalError as error:
        structlog.get_logger("orderly").error("unexpected_error", exc_info=error)

    assert "Connection refused" in log.text
    assert "hunter2" not in log.text


def test_a_request_succeeds_even_if_its_log_stream_is_closed() -> None:
    log = Log()
    log.stream.close()

    assert "x-request-id" in request(respond)
