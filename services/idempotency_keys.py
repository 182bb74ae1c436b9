"""Forgets the keys of requests that nobody will repeat any more."""

from __future__ import annotations

from database.transactions import transaction
from models import idempotency_key as keys

KEPT_HOURS = 24
FORGOTTEN_AT_ONCE = 500


@transaction
def forget_keys() -> int:
    """Forget the oldest keys that were first used a day ago; return how many they were.

    At most `FORGOTTEN_AT_ONCE`. Keys that another worker is just forgetting are passed over.
    """
    return keys.FORGET.execute(hours=KEPT_HOURS, limit=FORGOTTEN_AT_ONCE)
