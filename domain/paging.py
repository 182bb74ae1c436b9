"""Pages and cursors: where a list goes on, as an opaque text that always means some place.

A cursor is the base64url form (RFC 4648, section 5, no padding) of the last row's id, 16 bytes,
and of the value that the list is sorted by. Clients are told that it is opaque, so whatever they
send in its place has to be answered with some page, never with an error.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

Row = TypeVar("Row")
SortValue = int | str | datetime

# Text is sorted by its first characters only, so that a cursor stays short: 64 characters of at
# most four bytes and an id make 363 characters of base64.
SORTED_CHARACTERS = 64

_ID_BYTES = 16
_INT_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Page(NamedTuple, Generic[Row]):
    """One page of a list; `next_cursor` is None on the last."""

    items: list[Row]
    next_cursor: str | None


class Position(NamedTuple):
    """A place in a sorted list: just after the row with this value and this id."""

    value: SortValue
    id: UUID


def encode(position: Position) -> str:
    """Return the cursor for a position."""
    return urlsafe_b64encode(position.id.bytes + _encoded(position.value)).rstrip(b"=").decode()


def decode(cursor: str, kind: type[SortValue]) -> Position:
    """Return the position of a cursor for a list that is sorted by values of this kind.

    Total: any text of base64url characters gives a position, if only a senseless one.
    """
    # A length of 4n + 1 is not one that encoding makes; its last character says too little.
    whole = cursor[:-1] if len(cursor) % 4 == 1 else cursor
    data = urlsafe_b64decode(whole + "=" * (-len(whole) % 4))
    return Position(
        _decoded(data[_ID_BYTES:], kind), UUID(bytes=data[:_ID_BYTES].ljust(_ID_BYTES, b"\0"))
    )


def _encoded(value: SortValue) -> bytes:
    if isinstance(value, str):
        return value[:SORTED_CHARACTERS].encode()
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _MICROSECOND
    return value.to_bytes(_INT_BYTES, "big", signed=True)


def _decoded(data: bytes, kind: type[SortValue]) -> SortValue:
    if kind is str:
        # PostgreSQL's text holds neither a NUL nor broken UTF-8.
        return data.decode(errors="replace").replace("\0", "\ufffd")[:SORTED_CHARACTERS]
    number = int.from_bytes(data[:_INT_BYTES], "big", signed=True)
    if kind is int:
        return number
    earliest, latest = ((at - _EPOCH) // _MICROSECOND for at in (_EARLIEST, _LATEST))
    return _EPOCH + _MICROSECOND * min(max(number, earliest), latest)
