"""Measures the database use of each request or job, and has its name for comments in SQL."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class DatabaseUse:
    """The database use of a request or a job so far."""

    # The operation id of the request, or the name of the job; sent in an SQL comment.
    operation: str = ""
    # The number of round trips to PostgreSQL (one for each statement, BEGIN and COMMIT), and the
    # seconds of waiting for them.
    round_trips: int = 0
    seconds: float = 0.0


# For the current task or thread. All greenlets and threads of a request share one object.
current_use: ContextVar[DatabaseUse | None] = ContextVar("database_use", default=None)


def measure(operation: str) -> DatabaseUse:
    """Start to measure the database use of the current task or thread."""
    use = DatabaseUse(operation)
    current_use.set(use)
    return use
