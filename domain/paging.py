"""Pages of lists, and cursors: opaque texts that encode where the next page begins.

A cursor encodes the last row of a page: its id (16 bytes) and the value of its sort key, as
base64url without padding (RFC 4648, section 5). The contract describes a cursor only as
base64url characters. So any such text is a valid cursor: it leads to a page, never to an error.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

Row = TypeVar("Row")
SortValue = int | str | datetime

# Text is sorted by its first 64 characters, so that a cursor stays short: at most 64 characters of
# 4 bytes and an id of 16 bytes, which are 363 characters of base64.
SORTED_CHARACTERS = 64

_ID_BYTES = 16
_INT_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Page(NamedTuple, Generic[Row]):
    """One page of a list; `next_cursor` is None on the last page."""

    items: list[Row]
    next_cursor: str | None


class Position(NamedTuple):
    """A position in a sorted list: after the row with this value and this id."""

    value: SortValue
    id: UUID


def encode(position: Position) -> str:
    """Return the cursor for a position."""
    return (
        urlsafe_b64encode(position.id.bytes + _encode_value(position.value)).rstrip(b"=").decode()
    )


def decode(cursor: str, value_type: type[SortValue]) -> Position:
    """Return the position that a cursor encodes, in a list sorted by values of type `value_type`.

    A text of base64url characters that `encode` did not return gives an arbitrary position.
    """
    # Base64 never has a length of 4n + 1. The last character holds less than one byte: drop it.
    base64 = cursor[:-1] if len(cursor) % 4 == 1 else cursor
    data = urlsafe_b64decode(base64 + "=" * (-len(base64) % 4))
    return Position(
        _decode_value(data[_ID_BYTES:], value_type),
        UUID(bytes=data[:_ID_BYTES].ljust(_ID_BYTES, b"\0")),
    )


def _encode_value(value: SortValue) -> bytes:
    if isinstance(value, str):
        return value[:SORTED_CHARACTERS].encode()
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _MICROSECOND
    return value.to_bytes(_INT_BYTES, "big", signed=True)


def _decode_value(data: bytes, value_type: type[SortValue]) -> SortValue:
    if value_type is str:
        # PostgreSQL refuses text with NUL or invalid UTF-8.
        return data.decode(errors="replace").replace("\0", "\ufffd")[:SORTED_CHARACTERS]
    number = int.from_bytes(data[:_INT_BYTES], "big", signed=True)
    if value_type is int:
        return number
    earliest, latest = ((at - _EPOCH) // _MICROSECOND for at in (_EARLIEST, _LATEST))
    return _EPOCH + _MICROSECOND * min(max(number, earliest), latest)
