"""Measures what a request or a job costs in the database, and says for whom a statement runs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class DatabaseUse:
    """What a request or a job has cost in the database so far."""

    # The operation id of the request or the name of the job. Statements have it in an SQL comment.
    operation: str = ""
    # How often PostgreSQL was waited for, and for how many seconds. Each statement is a round trip,
    # and so are BEGIN and COMMIT.
    round_trips: int = 0
    seconds: float = 0.0


# Of the current task or thread. A greenlet or thread that works for a request shares its object.
current_use: ContextVar[DatabaseUse | None] = ContextVar("database_use", default=None)


def measure(operation: str) -> DatabaseUse:
    """Measure from now on what the current task or thread costs, under a name."""
    use = DatabaseUse(operation)
    current_use.set(use)
    return use
