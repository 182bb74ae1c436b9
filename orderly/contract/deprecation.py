"""Tells clients in time that an operation will be gone, in headers that the document decides on.

An operation that is `deprecated` says since when (`x-deprecated-since`) and until when it is
answered (`x-sunset`), each a date, which begins at midnight UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]


def headers_of(operation: Mapping[str, Any]) -> Headers:
    """Return the fields that each answer of an operation carries: none, unless it is deprecated.

    `Deprecation` is that of RFC 9745, a date of RFC 9651; `Sunset` that of RFC 8594.

    Raises:
        ValueError: it is deprecated without its dates, or gone before it is deprecated.
    """
    name = operation.get("operationId")
    if not operation.get("deprecated"):
        if operation.keys() & {"x-deprecated-since", "x-sunset"}:
            raise ValueError(f"{name} has dates of a deprecation but is not deprecated")
        return ()
    since, sunset = (_midnight(operation, key) for key in ("x-deprecated-since", "x-sunset"))
    if sunset < since:
        raise ValueError(f"{name} is gone before it is deprecated")
    return (
        (b"deprecation", b"@%d" % since.timestamp()),
        (b"sunset", format_datetime(sunset, usegmt=True).encode()),
    )


def _midnight(operation: Mapping[str, Any], key: str) -> datetime:
    try:
        day = date.fromisoformat(operation[key])
    except (KeyError, TypeError, ValueError) as error:
        name = operation.get("operationId")
        raise ValueError(
            f"{name} is deprecated: {key} must be a date such as 2026-11-23"
        ) from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
