"""The database of this process, bound once at start: Peewee's database with our connection pool."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol, TypedDict

import psycopg2
from greenlet import getcurrent
from peewee import (  # type: ignore[attr-defined]  # the stubs omit the wrapper
    PostgresqlDatabase,
    __exception_wrapper__,
    _ConnectionState,
)

from database.connection import Connector
from database.pool import Connection, ConnectionPool

_numbers = itertools.count()


class StatementSpan(Protocol):
    """A span of a trace, for one statement."""

    def end(self, error: BaseException | None) -> None:
        """End the span; `error` is the exception of the statement, if it failed."""


class TimeLimits(TypedDict):
    """The time limits of connections, as arguments of `bind`, in seconds."""

    statement_timeout: float
    lock_timeout: float
    idle_in_transaction_timeout: float
    keepalive: int


class ShopDatabase(PostgresqlDatabase):
    """Peewee's PostgreSQL database with the shop's own connection pool."""

    pool: ConnectionPool | None = None
    # Statements that take at least this many seconds are logged.
    slow_seconds = math.inf
    # Starts a span for a statement, or returns None if it is not traced. None: tracing is off.
    start_span: Callable[[str], StatementSpan | None] | None = None

    def __init__(self) -> None:
        self._state_key = f"database_{next(_numbers)}"
        # The number of failed statements by SQLSTATE, without constraint violations.
        self.failures: Counter[str] = Counter()
        # The number of disk_full failures (53100) when a check last found that the disk has space.
        self.resolved_disk_full_failures = 0
        super().__init__(None, autoconnect=False)
        # Replaces the lock that Peewee holds in connect() and close(). The pool is thread-safe
        # without it, and a thread that waits for a connection must not block close() in the others.
        self._lock = nullcontext()

    @property
    def state(self) -> Any:
        """Peewee's state (connection and transactions), one for each greenlet.

        Each thread has its own main greenlet, so each thread has its own state too.
        """
        attributes = vars(getcurrent())
        state = attributes.get(self._state_key)
        if state is None:
            state = attributes[self._state_key] = _ConnectionState()
        return state

    @property
    def _state(self) -> Any:
        """The name that Peewee uses for the state."""
        return self.state

    @_state.setter
    def _state(self, thread_local: Any) -> None:
        """Ignore the thread-local state that Peewee assigns."""

    def _connect(self) -> Connection:
        assert self.pool is not None  # noqa: S101  # `set_pool` was called: see `checkout`
        return self.pool.checkout()

    def _close(self, conn: Connection) -> None:
        conn.pool.checkin(conn)

    # For one statement, Peewee's connect(), execute_sql() and close() call 30 functions, which read
    # `_state` twelve times. The following methods are used instead. They leave out what Orderly
    # does not use: the lock, the debug log and the hooks of statements.

    def checkout(self) -> Any:
        """Check out a connection for the current greenlet or thread; return its state.

        Raises:
            PeeweeException: the server cannot be reached, no connection was free in time, the
                caller has a connection already, or the database is not bound.
        """
        state = self.state
        if self.server_version is None or not state.closed:
            self.connect()  # stores the server's version, or raises the error
        else:
            with __exception_wrapper__:
                state.set_connection(self._connect())
        return state

    def checkin(self, state: Any) -> None:
        """Check in the connection of a state that `checkout` returned, unless it was closed."""
        connection = state.conn
        state.reset()
        if connection is not None:
            self._close(connection)

    def execute_on(self, connection: Connection, sql: str, parameters: Any) -> Any:
        """Execute SQL on a connection and return the cursor.

        Raises:
            PeeweeException: the statement failed.
        """
        try:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
        except psycopg2.Error:
            with __exception_wrapper__:
                raise
        return cursor


database = ShopDatabase()


def bind(
    url: str,
    *,
    max_connections: int = 20,
    checkout_timeout: float = 5.0,
    connect_timeout: float = 5.0,
    statement_timeout: float = 10.0,
    lock_timeout: float = 3.0,
    idle_in_transaction_timeout: float = 5.0,
    keepalive: int = 60,
    program: str = "orderly",
    slow_seconds: float = math.inf,
    start_span: Callable[[str], StatementSpan | None] | None = None,
) -> None:
    """Bind this process to a database; connections are opened on demand.

    `program` names the part of Orderly that this process is. The `application_name` of connections
    is `program` and the process id. A statement that takes `slow_seconds` or longer is logged.
    `start_span` is called for each statement, with its name.

    `url` is a URL or a connection string of libpq; it may name several hosts. `Connector` describes
    the timeouts. Timeouts that the server enforces are sent as connection options. PgBouncer in
    transaction mode refuses options: end the URL with `options=`, and set the timeouts on the role
    (`ALTER ROLE ... SET statement_timeout = '10s'`).
    """
    close()
    set_pool(
        database,
        Connector(
            url,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
            idle_in_transaction_timeout=idle_in_transaction_timeout,
            keepalive=keepalive,
            application_name=f"{program} {os.getpid()}",
        ),
        url=url,
        max_connections=max_connections,
        checkout_timeout=checkout_timeout,
    )
    database.slow_seconds = slow_seconds
    database.start_span = start_span


def set_pool(
    target: ShopDatabase,
    connect: Callable[[], Connection],
    *,
    url: str,
    max_connections: int,
    checkout_timeout: float,
) -> None:
    """Assign a new connection pool to a database object."""
    target.init(url)
    target.pool = ConnectionPool(connect, size=max_connections, checkout_timeout=checkout_timeout)


def close() -> None:
    """Close the pool. Connections in use are closed when they are returned."""
    if database.pool is not None:
        database.pool.close()
