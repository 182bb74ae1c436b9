"""Concurrent calls, and the row locks that they hold."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg2

from tests.support.processes import wait_until


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


class Blocker:
    """A transaction of another client, and who waits for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._blocking = psycopg2.connect(url)

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement in the transaction."""
        self._blocking.cursor().execute(statement, values)

    def wait_for_waiting(self, number: int = 1) -> None:
        """Wait until this many clients wait for a lock."""
        with closing(psycopg2.connect(self._url)) as observing:
            observing.autocommit = True
            cursor = observing.cursor()

            def are_waiting() -> bool:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                )
                ((waiting,),) = cursor.fetchall()
                return bool(waiting >= number)

            wait_until(are_waiting)

    def commit(self) -> None:
        """End the transaction."""
        self._blocking.commit()

    def close(self) -> None:
        """End the transaction without a change, if it has not ended."""
        self._blocking.close()
