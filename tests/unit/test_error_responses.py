"""Responses to exceptions, and which exceptions are passed on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from domain.errors import Unavailable
from orderly.http.error_responses import ErrorResponses
from orderly.http.problems import Problem


def handle(error: Exception, *, status: int | None = None) -> list[Message]:
    """Raise an error in an application; return the messages of the response.

    `status` is that of a response that has begun before.
    """
    sent: list[Message] = []

    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    facts: dict[str, Any] = {"request_id": "abc", "status": status}
    asyncio.run(ErrorResponses(fail)({"type": "http", "orderly": facts}, receive, send))
    return sent


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable(), 503, "service_unavailable"),
        (Problem("malformed_request", "No."), 400, "malformed_request"),
        (HTTPException(405, headers={"allow": "GET"}), 405, "method_not_allowed"),
        (HTTPException(418), 500, "internal_error"),
        (LookupError("no such shelf"), 500, "internal_error"),
    ],
)
def test_an_error_becomes_a_problem_document(error: Exception, status: int, code: str) -> None:
    start, body = handle(error)

    document = json.loads(body["body"])
    assert (status, status, code) == (start["status"], document["status"], document["code"])
    assert "shelf" not in str(document)
    headers = dict(start["headers"])
    assert b"application/problem+json" == headers[b"content-type"]
    assert b"%d" % len(body["body"]) == headers[b"content-length"]


def test_the_headers_of_an_error_replace_those_of_its_code() -> None:
    error = HTTPException(405, headers={"allow": "GET", "cache-control": "no-cache"})

    start, _ = handle(error)

    names = [name for name, _ in start["headers"]]
    assert len(set(names)) == len(names)
    assert {b"allow": b"GET", b"cache-control": b"no-cache"}.items() <= dict(
        start["headers"]
    ).items()


@pytest.mark.parametrize("error", [Unavailable(), LookupError()])
def test_an_error_after_the_response_has_begun_is_passed_on(error: Exception) -> None:
    with pytest.raises(type(error)):
        handle(error, status=200)


def test_the_frames_of_an_error_are_freed() -> None:
    """Otherwise they are kept by reference cycles, and by an error that several requests share."""
    error = LookupError()

    handle(error)

    assert error.__traceback__ is None
