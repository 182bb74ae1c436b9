"""The statements for reconciliation that payments and refunds have in common.

Both tables have the time of the next check at the provider, and the number of checks so far.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from database.statement import Command, Statement


class DueCheck(NamedTuple):
    """A payment or refund whose state at the provider is due to be checked."""

    id: UUID
    # Seconds since it was created.
    age: int


def claim_due(table: str) -> Statement[DueCheck]:
    """Return the statement that claims at most `limit` due rows of a table.

    It sets the time of the next check of each row, with exponential backoff, and returns the rows.
    SKIP LOCKED skips rows that another worker is claiming.
    """
    return Statement(
        f"""
        UPDATE {table} SET checks = checks + 1,
            next_check_at = now() + least(%(min_seconds)s * 2 ^ least(checks, 20), %(max_seconds)s)
                * interval '1 second'
        WHERE id IN (
            SELECT id FROM {table} WHERE next_check_at <= now()
            ORDER BY next_check_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
        )
        RETURNING id, extract(epoch FROM now() - created_at)::integer
        """,  # noqa: S608  # the table is a constant
        DueCheck._make,
        name=f"{table}.CLAIM_DUE",
    )


def stop_checks(table: str) -> Command:
    """Return the command that clears the time of the next check of the row with this `id`."""
    query = f"UPDATE {table} SET next_check_at = NULL WHERE id = %(id)s"  # noqa: S608
    return Command(query, name=f"{table}.STOP_CHECKS")
