"""Splits lists of all users' orders into parts, so that an index returns each part already sorted.

Some lists are sorted by one column and filtered by bounds on another: the most expensive orders of
a week, or the latest orders over 500. No index returns all their rows in sort order. Two indexes
return the rows of one part in sort order:

- `ix_orders_quarter`: the orders of a quarter of a year, sorted by total.
- `ix_orders_size`: the orders whose total has a given number of digits, sorted by time.

A page is merged from the first rows of each part that overlaps the bounds. Only the first and the
last part can contain rows outside the bounds; these rows are read and filtered out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from database.statement import Statement
from domain.order_status import STATUSES

# When the oldest order was created; None if there are no orders.
_OLDEST_CREATED_AT: Statement[datetime | None] = Statement(
    """
    SELECT min(oldest.created_at) FROM unnest(%(statuses)s::text[]) AS wanted (status), LATERAL (
        SELECT created_at FROM orders WHERE orders.status = wanted.status
        ORDER BY created_at, id LIMIT 1
    ) AS oldest
    """,
    lambda columns: columns[0],
)
# How far the clock of this machine may be behind the database's clock.
_MAX_CLOCK_SKEW = timedelta(days=1)
# The largest total that can be stored has 16 digits.
_MAX_DIGITS = 16


def quarters(created_from: datetime | None, created_to: datetime | None) -> list[datetime]:
    """Return the start of each quarter in which orders of this interval may have been created.

    `created_from` is included, `created_to` is not. The results are in UTC and have no time zone,
    like PostgreSQL's `date_trunc('quarter', ... AT TIME ZONE 'UTC')`.
    """
    oldest = _OLDEST_CREATED_AT.one(statuses=list(STATUSES))
    if oldest is None:
        return []
    latest = datetime.now(UTC) + _MAX_CLOCK_SKEW
    first = _quarter_number(max(oldest, created_from or oldest))
    last = _quarter_number(min(latest, created_to or latest))
    return [datetime(number // 4, number % 4 * 3 + 1, 1) for number in range(first, last + 1)]


def _quarter_number(moment: datetime) -> int:
    """Return the number of quarters from the year 0 to this moment's quarter."""
    moment = moment.astimezone(UTC)
    return moment.year * 4 + (moment.month - 1) // 3


def total_lengths(min_total: int | None, max_total: int | None) -> list[int]:
    """Return each number of digits that a total within these bounds (in minor units) can have."""
    longest = _MAX_DIGITS if max_total is None else min(len(str(max_total)), _MAX_DIGITS)
    return list(range(len(str(min_total or 0)), longest + 1))
