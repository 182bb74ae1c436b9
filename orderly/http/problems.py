"""The problem document (RFC 9457) of each error.

The table `PROBLEM_TYPES` gives each error code its HTTP status and texts. Lower layers raise errors
with a code and attributes, such as the available stock, and do not know HTTP. The attributes become
extension members of the problem document (RFC 9457, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from connexion.exceptions import ProblemException

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_CHALLENGE = 'Bearer realm="orderly"'


@dataclass(frozen=True, slots=True)
class ProblemType:
    """The HTTP status, the title and the remedy that belong to an error code."""

    status: int
    title: str
    remedy: str


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "malformed_request": ProblemType(
        400, "Malformed request", "Correct the request: `errors` lists each violation."
    ),
    "invalid_signature": ProblemType(
        400,
        "Signature invalid",
        "Check that the secret in the settings is the provider's, and that the clock is right.",
    ),
    "unauthenticated": ProblemType(
        401,
        "Authentication required",
        "Sign in, then repeat the request with the cookie or bearer token.",
    ),
    "invalid_token": ProblemType(
        401, "Access token invalid", "Refresh the session or sign in again."
    ),
    "invalid_credentials": ProblemType(
        401,
        "Email or password incorrect",
        "Check both. For security, the API does not say which of them is incorrect.",
    ),
    "session_expired": ProblemType(401, "Session ended", "Sign in again."),
    "forbidden": ProblemType(
        403, "Permission denied", "Ask an administrator: this operation requires another role."
    ),
    "email_not_verified": ProblemType(
        403,
        "Email not verified",
        "Use the link in the mail that you got, or request another one by"
        " `POST /auth/email-verifications`.",
    ),
    "cross_site_request": ProblemType(
        403,
        "Cross-site request refused",
        "Send the request from a page of the API's own origin, or use a bearer token. The operator "
        "can allow pages of other origins (`ORDERLY_CORS_ORIGINS`).",
    ),
    "not_found": ProblemType(
        404,
        "Not found",
        "Check the URL: the resource does not exist, or you have no access to it.",
    ),
    "method_not_allowed": ProblemType(
        405, "Method not allowed", "Use one of the methods in the `Allow` header."
    ),
    "request_timeout": ProblemType(
        408, "Request timeout", "Send the whole request without long pauses."
    ),
    "email_taken": ProblemType(
        409, "Email already registered", "Sign in, or register with another email."
    ),
    "refresh_raced": ProblemType(
        409,
        "Session already refreshed",
        "Repeat the original request: another request has just refreshed the session.",
    ),
    "sku_taken": ProblemType(
        409, "SKU already in use", "Choose another SKU, or update the product that has it."
    ),
    "insufficient_stock": ProblemType(
        409,
        "Not enough stock",
        "Order at most the `available` quantity of each product in `lines`.",
    ),
    "stock_below_zero": ProblemType(
        409, "Stock would be negative", "Remove at most the `available` units."
    ),
    "stock_not_as_expected": ProblemType(
        409,
        "Stock differs from the expected stock",
        "Count again, then repeat the request with `available` as the expected stock.",
    ),
    "stock_too_large": ProblemType(
        409, "Stock would exceed the maximum", "Add fewer units: `available` units are in stock."
    ),
    "import_refused": ProblemType(
        409,
        "File has invalid lines",
        "Correct the lines listed in `faults`, or import with `skip_faulty`.",
    ),
    "products_unavailable": ProblemType(
        409,
        "Products unavailable",
        "Remove each product in `lines` that has no `available`, since it is not on sale. Order at"
        " most the `available` quantity of each other product in `lines`.",
    ),
    "amount_too_large": ProblemType(409, "Amount too large", "Split the order into smaller ones."),
    "transition_not_allowed": ProblemType(
        409, "Status transition not allowed", "Choose one of the statuses in `allowed`."
    ),
    "order_not_shipped": ProblemType(
        409, "Order not shipped", "Set the status `SHIPPED` with the tracking number instead."
    ),
    "tracking_number_differs": ProblemType(
        409,
        "Order shipped with another tracking number",
        "Correct the tracking number by `PATCH /orders/{order_id}` (`update_order`).",
    ),
    "order_not_payable": ProblemType(
        409,
        "Order cannot be paid",
        "Check its `status` and `payment_status`: only a pending order with a balance can be paid.",
    ),
    "payment_in_progress": ProblemType(
        409,
        "Another payment is open",
        "Finish the payment `payment_id`, or cancel it, before you start another one.",
    ),
    "payment_provider_not_enabled": ProblemType(
        409, "Payment provider not used here", "Choose one of the providers in `enabled`."
    ),
    "payment_exceeds_balance": ProblemType(
        409, "Amount exceeds the balance", "Record at most the `balance`."
    ),
    "payment_not_cancelable": ProblemType(
        409,
        "Payment cannot be canceled",
        "Read the payment again. If it has succeeded, ask an administrator for a refund.",
    ),
    "payment_not_open": ProblemType(
        409, "Payment not open", "Read the payment again, and start another one to try again."
    ),
    "refund_exceeds_captured": ProblemType(
        409, "Refund exceeds the payment", "Refund at most the `refundable` amount."
    ),
    "idempotency_in_flight": ProblemType(
        409, "First request still running", "Wait a moment, then repeat the request."
    ),
    "current_password_wrong": ProblemType(
        409, "Current password incorrect", "Send the password that you sign in with."
    ),
    "token_invalid": ProblemType(
        409,
        "Token invalid",
        "Request a new mail, and use the link in the newest one. Each link works once.",
    ),
    "last_administrator": ProblemType(
        409, "No other active administrator", "Make another user an administrator first."
    ),
    "user_deleted": ProblemType(
        409, "User deleted", "Choose another user: a deleted account cannot be used again."
    ),
    "orders_in_progress": ProblemType(
        409,
        "Orders in progress",
        "Wait until the orders in `order_numbers` are delivered, cancelled or returned, and their"
        " payments and refunds are completed. Cancel what you no longer want.",
    ),
    "password_rejected": ProblemType(
        409, "Password refused", "Choose another password: `reason` says what is wrong with it."
    ),
    "precondition_failed": ProblemType(
        412,
        "Resource changed since it was read",
        "Read it again, then repeat the change with its new ETag.",
    ),
    "payload_too_large": ProblemType(413, "Request body too large", "Send a smaller body."),
    "unsupported_media_type": ProblemType(
        415, "Media type not supported", "Send one of the media types in `supported`."
    ),
    "misdirected_request": ProblemType(
        421, "Host not served", "Send the request to the shop's own host name."
    ),
    "idempotency_key_reused": ProblemType(
        422,
        "Idempotency key used for a different request",
        "Use a new key for each new request.",
    ),
    "too_many_attempts": ProblemType(
        429, "Too many attempts", "Wait for `Retry-After` seconds, then try again."
    ),
    "internal_error": ProblemType(
        500, "Internal error", "Repeat the request later. Give the `request_id` to support."
    ),
    "payment_provider_unavailable": ProblemType(
        503,
        "Payment provider not available",
        "Repeat the request after `Retry-After` seconds: it continues the same payment.",
    ),
    "service_unavailable": ProblemType(
        503,
        "Service temporarily unavailable",
        "Repeat the request after `Retry-After` seconds.",
    ),
}


class Problem(ProblemException):
    """An error that the HTTP layer raises; `extensions` are extension members of its document."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(
            status=PROBLEM_TYPES[code].status, detail=detail, headers=dict(headers or {})
        )
        self.code = code
        self.errors = errors
        self.extensions = extensions


def document(
    code: str,
    detail: str,
    request_id: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    extensions: Mapping[str, object] | None = None,
) -> bytes:
    """Return a problem document as JSON."""
    problem_type = PROBLEM_TYPES[code]
    body: dict[str, Any] = {
        "type": f"/problems#{code}",
        "title": problem_type.title,
        "status": problem_type.status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = list(errors)
    body.update(extensions or {})
    return orjson.dumps(body)


def headers_for(
    code: str,
    extensions: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response with a problem document, in the form of ASGI.

    `headers` replace those of the code.
    """
    fields = {
        name.lower(): value
        for source in (_headers_of(code, extensions or {}), headers or {})
        for name, value in source.items()
    }
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


def _headers_of(code: str, extensions: Mapping[str, object]) -> dict[str, str]:
    status = PROBLEM_TYPES[code].status
    headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750, section 3: no error code if the request had no token.
        error = ', error="invalid_token"' if code == "invalid_token" else ""
        headers["WWW-Authenticate"] = _CHALLENGE + error
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers.update(_rate_limit_headers(extensions))
    return headers


def _rate_limit_headers(extensions: Mapping[str, object]) -> dict[str, str]:
    """Return `Retry-After` and the fields of draft-ietf-httpapi-ratelimit-headers-10."""
    policy, seconds = extensions["policy"], extensions["retry_after"]
    return {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"{policy}";q={extensions["quota"]};w={extensions["window_seconds"]}',
        "RateLimit": f'"{policy}";r=0;t={seconds}',
    }
