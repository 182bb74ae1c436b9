"""Every error leaves here as an RFC 9457 problem document, from one table of codes.

Lower rooms raise errors that carry facts; which HTTP status and title they get is decided in
this module alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from starlette.exceptions import HTTPException

from domain.errors import DomainError
from orderly.http.tracebacks import in_brief

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_CHALLENGE = 'Bearer realm="orderly"'


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What a code stands for: its HTTP status, its title and what a client can do about it."""

    status: int
    title: str
    remedy: str


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "malformed_request": ProblemType(
        400, "Malformed request", "Send what the contract describes; `errors` names each fault."
    ),
    "unauthenticated": ProblemType(
        401, "Sign-in required", "Sign in, then repeat the request with the cookie or bearer token."
    ),
    "invalid_token": ProblemType(
        401, "Access token not accepted", "Refresh the session or sign in again."
    ),
    "invalid_credentials": ProblemType(
        401, "Email or password wrong", "Check both; which of the two was wrong is never told."
    ),
    "session_expired": ProblemType(401, "Session over", "Sign in again."),
    "forbidden": ProblemType(
        403, "Not allowed", "Ask an administrator: this operation needs another role."
    ),
    "cross_site_request": ProblemType(
        403, "Cross-site request refused", "Call from the shop's own site or use a bearer token."
    ),
    "not_found": ProblemType(
        404, "Not found", "Check the address: there is no such thing, or it is not yours."
    ),
    "method_not_allowed": ProblemType(
        405, "Method not allowed", "Use one of the methods that the `Allow` header names."
    ),
    "email_taken": ProblemType(409, "Email taken", "Sign in instead or use another email."),
    "refresh_raced": ProblemType(
        409, "Session refreshed elsewhere", "Another tab has just refreshed it: repeat the request."
    ),
    "sku_taken": ProblemType(409, "SKU taken", "Choose another SKU or change that product."),
    "insufficient_stock": ProblemType(
        409, "Not enough stock", "Order at most what `lines` says is available."
    ),
    "stock_below_zero": ProblemType(
        409, "Less stock than that", "Take at most what `available` says there is."
    ),
    "stock_not_as_expected": ProblemType(
        409, "Stock not as expected", "Count again, then set it, expecting what `available` says."
    ),
    "stock_too_large": ProblemType(
        409, "More stock than can be counted", "Add less: `available` says what there is."
    ),
    "import_refused": ProblemType(
        409, "File refused", "Mend the lines that `faults` names, or import with `skip_faulty`."
    ),
    "products_unavailable": ProblemType(
        409,
        "Products unavailable",
        "Leave out what `lines` names without `available`; order less of the rest.",
    ),
    "amount_too_large": ProblemType(409, "Amount too large", "Order less at once."),
    "transition_not_allowed": ProblemType(
        409, "Status change not allowed", "Choose one of the statuses in `allowed`."
    ),
    "idempotency_in_flight": ProblemType(
        409, "First request still running", "Wait a moment, then repeat the request."
    ),
    "current_password_wrong": ProblemType(
        409, "Current password wrong", "Give the password that you sign in with."
    ),
    "last_administrator": ProblemType(
        409, "Last administrator", "Make somebody else an administrator first."
    ),
    "password_rejected": ProblemType(409, "Password refused", "Choose another password."),
    "precondition_failed": ProblemType(
        412, "Changed in the meantime", "Read it again, then repeat the change with its new ETag."
    ),
    "payload_too_large": ProblemType(413, "Body too large", "Send a smaller body."),
    "unsupported_media_type": ProblemType(
        415, "Media type not supported", "Send one of the media types that `supported` names."
    ),
    "idempotency_key_reused": ProblemType(
        422, "Idempotency key used for another request", "Use a new key for each new order."
    ),
    "too_many_attempts": ProblemType(
        429, "Too many attempts", "Wait for `Retry-After` seconds, then try again."
    ),
    "internal_error": ProblemType(
        500, "Internal error", "Repeat the request later; tell support the `request_id`."
    ),
    "service_unavailable": ProblemType(
        503, "Temporarily unavailable", "Repeat the request after `Retry-After` seconds."
    ),
}


class Problem(ProblemException):
    """An error of the HTTP layer itself, as the document's rules name it."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(
            status=PROBLEM_TYPES[code].status, detail=detail, headers=dict(headers or {})
        )
        self.code = code
        self.errors = errors
        self.facts = facts


async def on_domain_error(request: ConnexionRequest, error: DomainError) -> ConnexionResponse:
    """Answer a broken business rule; tell the log why where the fault is on our side."""
    if PROBLEM_TYPES[error.code].status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # In brief: while the database is away, every request has the same to tell.
        structlog.get_logger("orderly").warning(error.code, reason=in_brief(error))
    return _response(request, error.code, str(error), facts=error.facts())


async def on_http_error(request: ConnexionRequest, error: HTTPException) -> ConnexionResponse:
    """Answer what this layer, Connexion or Starlette refuses."""
    headers = dict(error.headers or {})
    if isinstance(error, Problem):
        return _response(
            request,
            error.code,
            error.detail,
            errors=error.errors,
            facts=error.facts,
            headers=headers,
        )
    code = _CODE_OF_STATUS.get(error.status_code)
    if code is None:
        return await on_unexpected_error(request, error)
    return _response(request, code, PROBLEM_TYPES[code].remedy, headers=headers)


async def on_unexpected_error(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer a fault of ours: log it whole, tell the client nothing of it but the request id."""
    structlog.get_logger("orderly").error("unexpected_error", exc_info=error)
    return _response(request, "internal_error", "The server failed to answer this request.")


_CODE_OF_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}


def _response(
    request: ConnexionRequest,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ConnexionResponse:
    kind = PROBLEM_TYPES[code]
    body: dict[str, Any] = {
        "type": f"/problems#{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "request_id": request.scope["orderly"]["request_id"],
    }
    if errors:
        body["errors"] = list(errors)
    body.update(facts or {})
    return ConnexionResponse(
        status_code=kind.status,
        mimetype=MEDIA_TYPE,
        body=orjson.dumps(body),
        headers={**_headers_of_status(kind.status, code, facts or {}), **(headers or {})},
    )


def _headers_of_status(status: int, code: str, facts: Mapping[str, object]) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750, section 3: the error is told only to one who brought a token.
        told = ', error="invalid_token"' if code == "invalid_token" else ""
        headers["WWW-Authenticate"] = _CHALLENGE + told
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers.update(_rate_limit(facts))
    return headers


def _rate_limit(facts: Mapping[str, object]) -> dict[str, str]:
    """Return the fields of draft-ietf-httpapi-ratelimit-headers-10, and `Retry-After`."""
    policy, wait = facts["policy"], facts["retry_after"]
    return {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"{policy}";q={facts["quota"]};w={facts["window_seconds"]}',
        "RateLimit": f'"{policy}";r=0;t={wait}',
    }
