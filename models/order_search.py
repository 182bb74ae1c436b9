"""How everybody's orders are looked through: which parts of them a page is put together from.

A list in one order within bounds on something else (the dearest of a week, the latest of those
over 500) has no index that gives its rows one after another. So there are indexes which give them
for each quarter of a year, and for each length of a total in digits, and a page is put together
from the first rows of the quarters or lengths that the bounds touch. Only in those at the ends are
rows passed over that the bounds leave out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from database.statement import Statement
from domain.order_status import STATUSES

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


def quarters(since: datetime | None, until: datetime | None) -> list[datetime]:
    """Return the beginnings of the quarters that have orders from `since` until before `until`.

    In UTC, and without a zone, like PostgreSQL's `date_trunc('quarter', ... AT TIME ZONE 'UTC')`.
    """
    first = _FIRST.one(statuses=list(STATUSES))
    if first is None:
        return []
    now = datetime.now(UTC) + _CLOCKS_DIFFER
    since, until = max(first, since or first), min(now, until or now)
    return [
        datetime(number // 4, number % 4 * 3 + 1, 1)
        for number in range(_quarter(since), _quarter(until) + 1)
    ]


def _quarter(moment: datetime) -> int:
    moment = moment.astimezone(UTC)
    return moment.year * 4 + (moment.month - 1) // 3


def sizes(least: int | None, most: int | None) -> list[int]:
    """Return how many digits the totals have that lie between two, in minor units."""
    longest = _MOST_DIGITS if most is None else min(len(str(most)), _MOST_DIGITS)
    return list(range(len(str(least or 0)), longest + 1))
