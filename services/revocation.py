"""Which sessions have ended, although their access tokens are not expired yet.

A request must not wait for the database to be told, so each process keeps the sessions that ended
of late in memory, and asks the database what is new twice a second. Knowledge that has grown old
is worth nothing: then nobody is let in by an access token until it is new again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

from database.transactions import autocommit
from domain.errors import Unavailable
from models import session as sessions
from models.session import Revoked
from services.configuration import configuration

# Together with the pause between two looks less than the 2 seconds that are promised: what was
# committed before a look began is known when it is over.
LOOK_EVERY_SECONDS = 0.5
FRESH_SECONDS = 2.0

# A revocation is seen when its transaction commits, which is later than the moment it bears: each
# look goes back over so much that it has seen. More than the longest transaction takes.
_OVERLAP_SECONDS = 60.0


class _Known:
    """What this process knows. Written by one thread and read by all, a name at a time."""

    def __init__(self) -> None:
        # When each may be forgotten, on this process's clock: its last access token has expired.
        self.ended: dict[UUID, float] = {}
        self.looked_at: float | None = None


_known = _Known()


def look() -> None:
    """Learn which sessions have ended since the last look.

    Raises:
        Unavailable: the database does not answer.
    """
    began = time.monotonic()
    longest = configuration().access_token_seconds + _OVERLAP_SECONDS
    seconds = longest
    if _known.looked_at is not None:
        seconds = min(longest, began - _known.looked_at + _OVERLAP_SECONDS)
    for session_id, seconds_ago in _revoked(seconds=seconds):
        _known.ended.setdefault(session_id, began - seconds_ago + longest)
    for session_id in [one for one, until in list(_known.ended.items()) if until < began]:
        del _known.ended[session_id]
    _known.looked_at = began


def note(session_ids: Iterable[UUID]) -> None:
    """Learn at once what this process has ended itself."""
    until = time.monotonic() + configuration().access_token_seconds + _OVERLAP_SECONDS
    for session_id in session_ids:
        _known.ended[session_id] = until


def is_over(session_id: UUID) -> bool:
    """Tell whether a session has ended: a look into memory, for the event loop.

    Raises:
        Unavailable: it cannot be told, since the last look is too long ago.
    """
    ready()
    return session_id in _known.ended


def ready() -> None:
    """Return if it can be told of a session whether it has ended.

    Raises:
        Unavailable: the last look is too long ago.
    """
    looked_at = _known.looked_at
    if looked_at is None or time.monotonic() - looked_at > FRESH_SECONDS:
        raise Unavailable


def forget() -> None:
    """Know nothing any more: for another database."""
    _known.ended.clear()
    _known.looked_at = None


@autocommit
def _revoked(*, seconds: float) -> list[Revoked]:
    return sessions.FIND_REVOKED.all(seconds=seconds)
