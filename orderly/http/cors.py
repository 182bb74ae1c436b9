"""Cross-origin requests (CORS, Fetch standard): from origins that the settings name, no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What scripts may send beyond what every form can, and what they may read of an answer.
_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
)
_ANSWER_HEADERS = (
    "Allow",
    "Content-Disposition",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "WWW-Authenticate",
    "X-Request-ID",
)
_PREFLIGHT_KEPT_SECONDS = 600


def cross_origin(origins: Sequence[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware that lets pages of these origins, exactly, call with credentials."""
    return partial(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        allow_credentials=True,
        expose_headers=_ANSWER_HEADERS,
        max_age=_PREFLIGHT_KEPT_SECONDS,
    )


def any_origin() -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware that lets pages of any site call: for the mock, which keeps nothing."""
    return partial(
        CORSMiddleware,
        allow_origin_regex=".*",
        allow_methods=_METHODS,
        allow_headers=(*_REQUEST_HEADERS, "Prefer"),
        allow_credentials=True,
        expose_headers=(*_ANSWER_HEADERS, "Preference-Applied"),
        max_age=_PREFLIGHT_KEPT_SECONDS,
    )
