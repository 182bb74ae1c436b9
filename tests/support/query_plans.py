"""The query plans of the statements that a test runs, as PostgreSQL executed them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from database.binding import database

Plan = dict[str, Any]


def record_plans(monkeypatch: pytest.MonkeyPatch, *tables: str) -> list[Plan]:
    """Run EXPLAIN (ANALYZE, BUFFERS) before each statement that names one of the tables.

    Of a prepared statement, each execution is explained. Returns the list to which the plans are
    added.
    """
    prepared: set[str] = set()
    plans: list[Plan] = []
    execute_on = type(database).execute_on

    def explain_and_execute(self: Any, connection: Any, text: str, parameters: Any) -> Any:
        is_relevant = any(f'"{table}"' in text for table in tables)
        if name := re.match(r'PREPARE ("[^"]+")', text):
            if is_relevant:
                prepared.add(name[1])
        elif is_relevant or (
            (name := re.search(r'EXECUTE ("[^"]+")', text)) and name[1] in prepared
        ):
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}"
            ((document,),) = execute_on(self, connection, explain, parameters).fetchall()
            plans.append(document[0]["Plan"])
        return execute_on(self, connection, text, parameters)

    monkeypatch.setattr(type(database), "execute_on", explain_and_execute)
    return plans


def nodes(plan: Plan) -> Iterator[Plan]:
    """Yield every node of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def rows_read(plan: Plan, *tables: str) -> int:
    """Return how many rows a plan read, including those it filtered out.

    Counts all tables unless some are named.
    """
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if "Relation Name" in node and (not tables or node["Relation Name"] in tables)
    )


def sequential_scans(plan: Plan, *tables: str) -> list[Plan]:
    """Return the sequential scans of a plan: of all tables unless some are named."""
    return [
        node
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and (not tables or node["Relation Name"] in tables)
    ]


def buffers_read(plan: Plan) -> int:
    """Return how many 8 KiB buffers a plan read, from the cache or from disk."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
