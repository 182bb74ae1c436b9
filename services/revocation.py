"""Revoked sessions whose access tokens have not expired yet.

A request must not query the database to verify its access token. So each process keeps recently
revoked sessions in memory and reads new ones from the database twice a second. If the last refresh
is too long ago, every access token is refused until the next refresh succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

from database.transactions import autocommit
from domain.errors import Unavailable
from models import session as sessions
from models.session import RevokedSession
from services import process
from services.process import configuration

# A revocation takes effect within 2 seconds on every process: a refresh returns all revocations
# committed before it began, and this pause plus the refresh takes less than FRESH_SECONDS.
REFRESH_EVERY_SECONDS = 0.5
FRESH_SECONDS = 2.0

# A revocation becomes visible when its transaction commits, which is later than its timestamp. So
# the time ranges of two refreshes overlap by this much, which is longer than any transaction.
_OVERLAP_SECONDS = 60.0


def refresh() -> None:
    """Read from the database which sessions were revoked since the last refresh.

    Raises:
        Unavailable: the database does not respond.
    """
    known = process.state().revoked_sessions
    now = time.monotonic()
    lifetime = _entry_lifetime_seconds()
    seconds = lifetime
    if known.refreshed_at is not None:
        seconds = min(lifetime, now - known.refreshed_at + _OVERLAP_SECONDS)
    for session_id, seconds_ago in _find_revoked(seconds=seconds):
        known.delete_at.setdefault(session_id, now - seconds_ago + lifetime)
    outdated = [session_id for session_id, at in list(known.delete_at.items()) if at < now]
    for session_id in outdated:
        del known.delete_at[session_id]
    known.refreshed_at = now


def add(session_ids: Iterable[UUID]) -> None:
    """Add sessions that this process has revoked itself, without waiting for the next refresh."""
    known = process.state().revoked_sessions
    delete_at = time.monotonic() + _entry_lifetime_seconds()
    for session_id in session_ids:
        known.delete_at[session_id] = delete_at


def is_revoked(session_id: UUID) -> bool:
    """Return whether a session was revoked. Reads memory only, so the event loop may call it.

    Raises:
        Unavailable: the last refresh is too long ago to know.
    """
    known = process.state().revoked_sessions
    _require_fresh(known.refreshed_at)
    return session_id in known.delete_at


def ready() -> None:
    """Return if the last refresh is recent enough to accept access tokens.

    Raises:
        Unavailable: the last refresh is too long ago.
    """
    _require_fresh(process.state().revoked_sessions.refreshed_at)


def _require_fresh(refreshed_at: float | None) -> None:
    if refreshed_at is None or time.monotonic() - refreshed_at > FRESH_SECONDS:
        raise Unavailable


def _entry_lifetime_seconds() -> float:
    """Return how long a revoked session is remembered: until its last access token has expired."""
    return configuration().access_token_seconds + _OVERLAP_SECONDS


@autocommit
def _find_revoked(*, seconds: float) -> list[RevokedSession]:
    return sessions.FIND_REVOKED.all(seconds=seconds)
