"""Counts the round trips to PostgreSQL of each request or job, and the time spent waiting for it.

Also has the name of the operation or job, which each statement gets as an SQL comment.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class DatabaseUse:
    """The round trips and the waiting time of a request or a job so far."""

    # The operation id of the request, or the name of the job.
    operation: str = ""
    # The number of responses of PostgreSQL, and how many seconds the request has waited for them.
    # Each statement is a round trip, and so are BEGIN and COMMIT.
    round_trips: int = 0
    seconds: float = 0.0


# The object of the current task or thread. Greenlets and threads of the same request share one
# object, since they run in copies of its context.
current_use: ContextVar[DatabaseUse | None] = ContextVar("database_use", default=None)


def measure(operation: str) -> DatabaseUse:
    """Start to count for the current task or thread, from zero; `operation` is the name."""
    use = DatabaseUse(operation)
    current_use.set(use)
    return use
