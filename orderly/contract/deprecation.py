"""Response headers that announce when an operation will be removed.

A deprecated operation has two dates in the document: `x-deprecated-since`, and `x-sunset`, the day
when it is removed. Each date means midnight UTC at the beginning of that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]


def deprecation_headers(operation: Mapping[str, Any]) -> Headers:
    """Return the headers that each response of an operation has; none if it is not deprecated.

    `Deprecation` is defined by RFC 9745, its date format by RFC 9651; `Sunset` by RFC 8594.

    Raises:
        ValueError: a deprecated operation lacks a date, another operation has one, or the
            operation is removed before it is deprecated.
    """
    operation_id = operation.get("operationId")
    if not operation.get("deprecated"):
        if operation.keys() & {"x-deprecated-since", "x-sunset"}:
            raise ValueError(f"{operation_id} has deprecation dates but is not deprecated")
        return ()
    since, sunset = (_midnight(operation, key) for key in ("x-deprecated-since", "x-sunset"))
    if sunset < since:
        raise ValueError(f"{operation_id} is removed before it is deprecated")
    return (
        (b"deprecation", b"@%d" % since.timestamp()),
        (b"sunset", format_datetime(sunset, usegmt=True).encode()),
    )


def _midnight(operation: Mapping[str, Any], key: str) -> datetime:
    try:
        day = date.fromisoformat(operation[key])
    except (KeyError, TypeError, ValueError) as error:
        operation_id = operation.get("operationId")
        raise ValueError(
            f"{operation_id} is deprecated: {key} must be a date such as 2026-11-23"
        ) from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
