"""How everybody's orders are looked through: which parts of them a page is put together from.

A list in one order within bounds on something else (the dearest of a week, the latest of those
over 500) has no index that gives its rows one after another. So there are indexes which give them
for each month and for each length of a total in digits, and a page is put together from the first
rows of the months or lengths that the bounds touch. Only in those at the ends are rows passed over
that the bounds leave out; how many does not depend on how many orders there are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.order_status import STATUSES
from models.statement import Statement

# The moment of the first order of all; None where there is none.
_FIRST: Statement[datetime | None] = Statement(
    """
    SELECT min(first.created_at) FROM unnest(%(statuses)s::text[]) AS one (status), LATERAL (
        SELECT created_at FROM orders WHERE orders.status = one.status
        ORDER BY created_at, id LIMIT 1
    ) AS first
    """,
    lambda columns: columns[0],
)
# How far our clock may be behind that of the database.
_CLOCKS_DIFFER = timedelta(days=1)
_MOST_DIGITS = 16


def months(since: datetime | None, until: datetime | None) -> list[datetime]:
    """Return the first moments of the months that have orders from `since` until before `until`."""
    first = _FIRST.one(statuses=list(STATUSES))
    if first is None:
        return []
    now = datetime.now(UTC) + _CLOCKS_DIFFER
    month, last = max(first, since or first), min(now, until or now)
    month = datetime(month.year, month.month, 1, tzinfo=UTC)
    found = []
    while month <= last:
        found.append(month.replace(tzinfo=None))
        month = (month + timedelta(days=31)).replace(day=1)
    return found


def sizes(least: int | None, most: int | None) -> list[int]:
    """Return how many digits the totals have that lie between two, in minor units."""
    longest = _MOST_DIGITS if most is None else min(len(str(most)), _MOST_DIGITS)
    return list(range(len(str(least or 0)), longest + 1))
