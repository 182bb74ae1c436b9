"""The database of this process: its pool, its transactions, and what its failures mean.

Only services use the decorators; a function of `models` expects to be called inside one.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import psycopg2
from greenlet import getcurrent
from peewee import PeeweeException, PostgresqlDatabase, _ConnectionState
from psycopg2 import errors

from domain.errors import DomainError, Locked, Unavailable
from models import bridge
from models.connection import open_connection
from models.constraints import ERROR_BY_CONSTRAINT, ERROR_BY_LOCKED_TABLE, TRY_AGAIN
from models.pool import Connection, ConnectionPool

P = ParamSpec("P")
R = TypeVar("R")

# serialization_failure, deadlock_detected, and feature_not_supported, which is how a prepared
# statement fails when a column's type has changed: nothing has happened, all of it may run again.
_RETRYABLE = frozenset({"40001", "40P01", "0A000"})
_MOST_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1


_numbers = itertools.count()


class ShopDatabase(PostgresqlDatabase):
    """Peewee's PostgreSQL over the shop's own connection pool."""

    pool: ConnectionPool | None = None

    def __init__(self) -> None:
        self._place = f"database_{next(_numbers)}"
        super().__init__(None, autoconnect=False)
        # Peewee's lock is for connect() and close(), which the pool makes safe by itself; held
        # while one waits for a connection, it would keep the others from giving theirs back.
        self._lock = nullcontext()

    @property
    def _state(self) -> Any:
        """Peewee's connection and transactions: of each piece of work, and each other thread."""
        kept = vars(getcurrent())
        state = kept.get(self._place)
        if state is None:
            state = kept[self._place] = _ConnectionState()
        return state

    @_state.setter
    def _state(self, by_thread: Any) -> None:
        """Take no notice: Peewee would keep them by thread."""

    def _connect(self) -> Connection:
        assert self.pool is not None  # noqa: S101  # Peewee refuses to connect before init()
        return self.pool.take()

    def _close(self, conn: Connection) -> None:
        conn.pool.give_back(conn)

    def session(self) -> Connection | None:
        """Return the caller's connection if what one prepares on it stays, else None."""
        connection: Connection | None = self._state.conn
        return connection if connection is not None and connection.keeps_session else None


database = ShopDatabase()


def bind(
    url: str,
    *,
    max_connections: int = 20,
    checkout_timeout: float = 5.0,
    connect_timeout: float = 5.0,
    statement_timeout: float = 10.0,
    lock_timeout: float = 3.0,
) -> None:
    """Say which database this process works on, in place of any before; nothing connects yet.

    `url` is anything that libpq understands. All times are in seconds; 0 for `statement_timeout`
    or `lock_timeout` leaves it to the server. Both are sent as connection options. A pooler in
    transaction mode takes none: end the URL in `options=` then, and set them on the role (`ALTER
    ROLE ... SET statement_timeout = '10s'`).
    """
    close()
    point(
        database,
        partial(
            open_connection,
            url,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
        ),
        url=url,
        max_connections=max_connections,
        checkout_timeout=checkout_timeout,
    )


def point(
    at: ShopDatabase,
    connect: Callable[[], Connection],
    *,
    url: str,
    max_connections: int,
    checkout_timeout: float,
) -> None:
    """Give a database a new pool of connections."""
    at.init(url)
    at.pool = ConnectionPool(connect, size=max_connections, wait=checkout_timeout)


def close() -> None:
    """Close the pool. Connections in use are closed when their work is done."""
    if database.pool is not None:
        database.pool.close()


def reading(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with a connection, each of its statements a transaction of its own.

    For reads, and for the commands that are one statement: those save the two round trips of
    BEGIN and COMMIT. Joins the connection, and the transaction, that the caller already has.
    """
    return _with_connection(function, lambda work: work())


def transaction(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in a transaction, all of it again after a deadlock or a lost race.

    Joins the transaction that the caller is already in.
    """

    def begin(work: Callable[[], R]) -> R:
        with database.atomic():
            return work()

    return _with_connection(function, begin)


def unhurried(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in a transaction whose statements may take as long as they like."""

    def begin(work: Callable[[], R]) -> R:
        with database.atomic():
            connection: Connection = database.connection()
            limit, connection.time_limit = connection.time_limit, None
            try:
                database.execute_sql("SET LOCAL statement_timeout = 0")
                return work()
            finally:
                connection.time_limit = limit

    return _with_connection(function, begin)


def _with_connection(
    function: Callable[P, R], around: Callable[[Callable[[], R]], R]
) -> Callable[P, R]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if database.in_transaction():
            return function(*args, **kwargs)
        work = partial(function, *args, **kwargs)
        if not database.is_closed():
            return around(work)
        return _attempts(partial(_connected, around, work))

    return run


def _connected(around: Callable[[Callable[[], R]], R], work: Callable[[], R]) -> R:
    database.connect()
    try:
        return around(work)
    finally:
        database.close()


def _attempts(run: Callable[[], R]) -> R:
    for attempt in range(_MOST_ATTEMPTS):
        try:
            return run()
        except PeeweeException as error:
            if not _is_worth_another_try(error):
                meaning = domain_error(error)
                if meaning is None:
                    raise
                raise meaning from error
            failure = error
        pause = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
        bridge.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # spreads retries, no secret
    raise Unavailable from failure


def domain_error(error: PeeweeException) -> DomainError | None:
    """Return what a database error means to the shop; None where it is a fault of ours."""
    original = getattr(error, "orig", None)
    if isinstance(original, errors.LockNotAvailable):
        return _locked_too_long(original)
    # ReadOnlySqlTransaction: this server has become a standby, and another is the primary now.
    lost = (psycopg2.OperationalError, psycopg2.InterfaceError, errors.ReadOnlySqlTransaction)
    if isinstance(original, lost):
        return Unavailable()
    meaning = ERROR_BY_CONSTRAINT.get(_constraint(error))
    return meaning() if meaning is not None else None


def _is_worth_another_try(error: PeeweeException) -> bool:
    sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
    return sqlstate in _RETRYABLE or _constraint(error) in TRY_AGAIN


def _constraint(error: PeeweeException) -> str:
    original = getattr(error, "orig", None)
    return original.diag.constraint_name or "" if isinstance(original, psycopg2.Error) else ""


def _locked_too_long(error: psycopg2.Error) -> DomainError:
    # The message is in the server's language; the name of the table in it is not.
    context = error.diag.context or ""
    for table, meaning in ERROR_BY_LOCKED_TABLE.items():
        if f'"{table}"' in context or f'"pk_{table}"' in context:
            return meaning()
    return Locked()
