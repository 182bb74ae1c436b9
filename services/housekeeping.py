"""Takes away what nobody can need any more: little by little, while the shop is open."""

from __future__ import annotations

from database.transactions import autocommit
from models import session as sessions
from models import throttle

# Rows of each kind in one go: few enough for nobody to notice.
_AT_ONCE = 1000

# A session that ended so long ago is in the security log alone.
_SESSION_KEPT_SECONDS = 30 * 24 * 3600


@autocommit
def tidy() -> int:
    """Delete what is out of date and return how much that was; safe in many processes at once."""
    return (
        throttle.PURGE.execute(limit=_AT_ONCE)
        + sessions.PURGE_TOKENS.execute(limit=_AT_ONCE)
        + sessions.PURGE_SESSIONS.execute(limit=_AT_ONCE, seconds=_SESSION_KEPT_SECONDS)
    )
