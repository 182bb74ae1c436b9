"""Deletes expired rows in small batches, so that it can run while requests are served."""

from __future__ import annotations

from database.transactions import autocommit
from models import account_token, throttle
from models import session as sessions

# Rows of each table per call: few enough not to slow down requests.
_BATCH_ROWS = 1000

# A session is deleted this long after it has expired. Its security events are kept.
_SESSION_RETENTION_SECONDS = 30 * 24 * 3600


@autocommit
def delete_expired() -> int:
    """Delete expired rows and return how many. Several processes may run this at the same time."""
    return (
        throttle.PURGE.execute(limit=_BATCH_ROWS)
        + account_token.PURGE.execute(limit=_BATCH_ROWS)
        + sessions.PURGE_TOKENS.execute(limit=_BATCH_ROWS)
        + sessions.PURGE_SESSIONS.execute(limit=_BATCH_ROWS, seconds=_SESSION_RETENTION_SECONDS)
    )
