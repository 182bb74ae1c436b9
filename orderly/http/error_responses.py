"""Responds to errors with problem documents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import DomainError, PasswordHashingBusy, TooManyAttempts
from orderly.http.problems import PROBLEM_TYPES, Problem, document, headers_for
from orderly.http.tracebacks import summarize

_REFUSAL_DELAY_SECONDS = 1.0

# For errors that Connexion and Starlette raise, which have a status but no code
_CODE_OF_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}


class ErrorResponses:
    """ASGI middleware that responds to an exception with a problem document.

    It replaces the middleware of Connexion and Starlette, which make 15 calls for a request without
    an error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request, and respond to the exception that it raises.

        Raises:
            Exception: the exception of the request, if its response has begun.
        """
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http" or scope["orderly"]["status"] is not None:
                raise
            if isinstance(error, DomainError):
                await _respond_to_domain_error(error, scope, send)
            elif isinstance(error, HTTPException):
                await _respond_to_http_error(error, scope, send)
            else:
                await _respond_to_bug(error, scope, send)
            # A local variable of a frame in the traceback can refer to the error. This breaks the
            # reference cycle. It also frees the frames if the error is raised for other requests.
            error.__traceback__ = None


async def _respond_to_domain_error(error: DomainError, scope: Scope, send: Send) -> None:
    """Respond to a business error. Log it if its status is 5xx."""
    if isinstance(error, (TooManyAttempts, PasswordHashingBusy)):
        # A client that repeats refused requests at once would occupy the event loop.
        await asyncio.sleep(_REFUSAL_DELAY_SECONDS)
    if PROBLEM_TYPES[error.code].status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # One line without a traceback: while the database is down, every request fails alike.
        structlog.get_logger("orderly").warning(error.code, reason=summarize(error))
    await respond(scope, send, error.code, str(error), extensions=error.attributes())


async def _respond_to_http_error(error: HTTPException, scope: Scope, send: Send) -> None:
    """Respond to an HTTP error that Orderly's HTTP layer, Connexion or Starlette raised."""
    headers = error.headers or {}
    if isinstance(error, Problem):
        await respond(
            scope,
            send,
            error.code,
            error.detail,
            errors=error.errors,
            extensions=error.extensions,
            headers=headers,
        )
        return
    code = _CODE_OF_STATUS.get(error.status_code)
    if code is None:
        await _respond_to_bug(error, scope, send)
    else:
        await respond(scope, send, code, PROBLEM_TYPES[code].remedy, headers=headers)


async def _respond_to_bug(error: Exception, scope: Scope, send: Send) -> None:
    """Log a bug with its traceback, and give the client only the request id."""
    structlog.get_logger("orderly").error("unexpected_error", exc_info=error)
    await respond_internal_error(scope, send)


async def respond_internal_error(scope: Scope, send: Send) -> None:
    """Respond to a bug. The request id lets the operator find the traceback in the log."""
    await respond(scope, send, "internal_error", "The server failed to process this request.")


async def respond(
    scope: Scope,
    send: Send,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    extensions: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a response with a problem document. `headers` replace those of the code.

    Called by middleware that refuses a request, this takes less CPU time than raising a `Problem`.
    """
    request_facts = scope["orderly"]
    request_facts["problem"] = code
    body = document(code, detail, request_facts["request_id"], errors=errors, extensions=extensions)
    all_headers = [
        (b"content-length", b"%d" % len(body)),
        *headers_for(code, extensions, headers),
    ]
    status = PROBLEM_TYPES[code].status
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})
