"""Statements on the application's connection pool, and a server that never responds."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from database.binding import database
from database.transactions import autocommit

# The type of the `sql` fixture: runs a statement with values and returns its rows.
Sql = Callable[..., list[tuple[Any, ...]]]


def scalar(sql: str = "SELECT 1", *values: Any) -> Any:
    """Run a statement on the current connection; return the first column of its first row."""
    return database.execute_sql(sql, values or None).fetchone()[0]


@autocommit
def autocommit_scalar(sql: str = "SELECT 1") -> Any:
    """Run a statement on a connection from the pool, in autocommit mode."""
    return scalar(sql)


@autocommit
def backend_pid() -> int:
    """Return the process ID of the PostgreSQL backend that serves the connection."""
    return scalar("SELECT pg_backend_pid()")


@contextmanager
def unresponsive_server() -> Iterator[str]:
    """Accept TCP connections and never respond; yield the database URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://orderly@127.0.0.1:{listening.getsockname()[1]}/orderly?sslmode=disable"
