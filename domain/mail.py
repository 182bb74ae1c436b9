"""The kinds of mail that the shop sends, and when it tries again."""

from __future__ import annotations

ORDER_PLACED = "ORDER_PLACED"
ORDER_PAID = "ORDER_PAID"
ORDER_SHIPPED = "ORDER_SHIPPED"
ORDER_CANCELLED = "ORDER_CANCELLED"
ORDER_REFUNDED = "ORDER_REFUNDED"

# Those that a setting can turn off.
ORDER_KINDS = (ORDER_PLACED, ORDER_PAID, ORDER_SHIPPED, ORDER_CANCELLED, ORDER_REFUNDED)
KINDS = ORDER_KINDS

GIVE_UP_AFTER_SECONDS = 2 * 24 * 3600
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 3600


def pause_seconds(attempt: int) -> int:
    """Return how long to wait after a failed attempt: exponential backoff, at most an hour."""
    doublings = min(attempt - 1, 10)
    return min(_FIRST_PAUSE_SECONDS << doublings, _LONGEST_PAUSE_SECONDS)
