"""Deletes idempotency keys that are too old for their requests to be retried."""

from __future__ import annotations

from database.transactions import transaction
from models import idempotency_key as keys

MAX_AGE_HOURS = 24
BATCH_KEYS = 500


@transaction
def purge_idempotency_keys() -> int:
    """Delete at most `BATCH_KEYS` of the keys older than `MAX_AGE_HOURS`; return how many.

    Skips keys that another worker is deleting.
    """
    return keys.PURGE.execute(hours=MAX_AGE_HOURS, limit=BATCH_KEYS)
