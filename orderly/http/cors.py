"""Cross-origin resource sharing (CORS): which other origins may call the API from a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Headers that scripts may send and read, in addition to those that Fetch always allows.
_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
)
_RESPONSE_HEADERS = (
    "Age",
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
_PREFLIGHT_MAX_AGE_SECONDS = 600


def allow_origins(origins: re.Pattern[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Return middleware that allows requests with credentials from the origins that match."""
    return partial(
        CORSMiddleware,
        allow_origin_regex=origins.pattern,
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        allow_credentials=True,
        expose_headers=_RESPONSE_HEADERS,
        max_age=_PREFLIGHT_MAX_AGE_SECONDS,
    )


def allow_any_origin() -> Callable[[ASGIApp], ASGIApp]:
    """Return middleware that allows requests from any origin. Only for the mock: it has no data."""
    return partial(
        CORSMiddleware,
        allow_origin_regex=".*",
        allow_methods=_METHODS,
        allow_headers=(*_REQUEST_HEADERS, "Prefer"),
        allow_credentials=True,
        expose_headers=(*_RESPONSE_HEADERS, "Preference-Applied"),
        max_age=_PREFLIGHT_MAX_AGE_SECONDS,
    )
