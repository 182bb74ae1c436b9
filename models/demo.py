"""Inserts the rows of the demo, whose ids and times are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from database.statement import Command
from database.table import Table

# An advisory lock, held until the transaction ends: only one transaction fills the shop.
LOCK = Command("SELECT pg_advisory_xact_lock(hashtext('orderly demo'))")


def insert(table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, each a dictionary of all its columns."""
    if rows:
        table.insert_many(rows).execute()
