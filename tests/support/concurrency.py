"""Concurrent calls, and the row locks that they hold."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg2


def run_concurrently(*calls: Callable[[], Any]) -> list[Any]:
    """Run each call in its own thread; return what each returned or raised."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # the test decides whether an error is expected
            return error

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(outcome, calls))


def count_unlocked_while_waiting(
    database_url: str, call: Callable[[], Any], locked: UUID, others: list[UUID]
) -> tuple[Any, int]:
    """Make a call wait for the stock of a locked product.

    Returns what the call returned or raised, and how many of the other products it had not locked
    while it waited.
    """
    locking, observing = psycopg2.connect(database_url), psycopg2.connect(database_url)
    observing.autocommit = True
    cursor = observing.cursor()
    # The update moves the row behind the others, so a sequential scan reaches it last.
    cursor.execute("UPDATE stock SET quantity = quantity WHERE product_id = %s", (locked,))
    cursor.execute("ANALYZE stock, product")
    locking.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (locked,))

    def count_unlocked() -> int:
        waiting = 0
        while not waiting:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            ((waiting,),) = cursor.fetchall()
        cursor.execute(
            "SELECT FROM stock WHERE product_id = ANY (%s) FOR UPDATE SKIP LOCKED", (others,)
        )
        locking.close()
        return cursor.rowcount

    outcome, unlocked = run_concurrently(call, count_unlocked)
    observing.close()
    return outcome, unlocked
