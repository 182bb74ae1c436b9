"""Transaction decorators with retries, and the mapping of database errors to domain errors.

Services and this package use the decorators. Statements of `models` must run in a decorated
function.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import psycopg2
from peewee import PeeweeException
from psycopg2 import errors

from database import greenlets
from database.binding import database
from database.constraints import ERROR_BY_CONSTRAINT, ERROR_BY_LOCKED_TABLE, RETRYABLE_CONSTRAINTS
from database.pool import Connection, NoResponse
from domain.errors import DomainError, Locked, Unavailable

P = ParamSpec("P")
R = TypeVar("R")

# SQLSTATEs of statements that had no effect and can be retried: serialization_failure,
# deadlock_detected, and feature_not_supported ("cached plan must not change result type": a
# migration has changed the type of a column of a prepared statement).
_RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "0A000"})
_MAX_ATTEMPTS = 6
_MIN_PAUSE_SECONDS = 0.005
_MAX_PAUSE_SECONDS = 0.1


def autocommit(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with a connection in autocommit mode: each statement is its own transaction.

    For reads, and for writes of one statement: this saves the round trips of BEGIN and COMMIT. The
    whole function is retried after a deadlock or a serialization failure. So it must be safe to
    repeat: it may commit at most one write, or only writes that are idempotent.

    Joins the transaction, or the connection, that the caller already has.
    """
    return _with_connection(function, lambda call: call(), max_attempts=_MAX_ATTEMPTS)


def autocommit_without_retry(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function as `autocommit` does, but never retry it: it commits several writes."""
    return _with_connection(function, lambda call: call(), max_attempts=1)


def transaction(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in a transaction, and retry it after a deadlock or another retryable error.

    Joins the transaction that the caller already has.
    """

    def in_transaction(call: Callable[[], R]) -> R:
        with database.atomic():
            return call()

    return _with_connection(function, in_transaction, max_attempts=_MAX_ATTEMPTS)


def transaction_without_timeout(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function as `transaction` does, without a time limit for its statements."""

    def in_transaction(call: Callable[[], R]) -> R:
        with database.atomic():
            connection: Connection = database.connection()
            limit, connection.time_limit = connection.time_limit, None
            try:
                database.execute_sql("SET LOCAL statement_timeout = 0")
                return call()
            finally:
                connection.time_limit = limit

    return _with_connection(function, in_transaction, max_attempts=_MAX_ATTEMPTS)


def _with_connection(
    function: Callable[P, R], wrapper: Callable[[Callable[[], R]], R], *, max_attempts: int
) -> Callable[P, R]:
    """Return the function with a connection for each call, and with retries.

    In a transaction, or with a connection of the caller, it is called once: the caller retries.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        state = database.state
        if state.transactions:
            return function(*args, **kwargs)
        call = partial(function, *args, **kwargs)
        if not state.closed:
            return wrapper(call)
        return _retry(partial(_connect_and_run, wrapper, call), max_attempts)

    return run


def _connect_and_run(wrapper: Callable[[Callable[[], R]], R], call: Callable[[], R]) -> R:
    state = database.checkout()
    try:
        return wrapper(call)
    finally:
        database.checkin(state)


def _retry(run: Callable[[], R], max_attempts: int) -> R:
    """Run a function until it succeeds, with exponential backoff and jitter between attempts.

    Raises:
        Unavailable: the last attempt failed with a retryable error.
        DomainError: an attempt failed with another error that corresponds to a domain error.
    """
    for attempt in range(max_attempts):
        if attempt:
            pause = min(_MIN_PAUSE_SECONDS * 2 ** (attempt - 1), _MAX_PAUSE_SECONDS)
            greenlets.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter, not a secret
        try:
            return run()
        except PeeweeException as error:
            _count_failure(error)
            _disconnect_from_unusable_server(error)
            if not _is_retryable(error):
                translated = domain_error(error)
                if translated is None:
                    raise
                raise translated from error
            failure = error
    raise Unavailable from failure


def domain_error(error: PeeweeException) -> DomainError | None:
    """Return the domain error for a database error; None if the database error is a bug."""
    original = getattr(error, "orig", None)
    if isinstance(original, errors.LockNotAvailable):
        return _lock_timeout(original)
    # ReadOnlySqlTransaction: this server has become a standby; another server is the primary now.
    unavailable_errors = (
        psycopg2.OperationalError,
        psycopg2.InterfaceError,
        errors.ReadOnlySqlTransaction,
    )
    if isinstance(original, unavailable_errors):
        return Unavailable()
    error_class = ERROR_BY_CONSTRAINT.get(_constraint(error))
    return error_class() if error_class is not None else None


def _count_failure(error: PeeweeException) -> None:
    """Count a failed statement by its SQLSTATE; a constraint violation is not a failure."""
    original = getattr(error, "orig", None)
    if not isinstance(original, psycopg2.IntegrityError):
        # psycopg2 sets no SQLSTATE if the connection was lost or refused: use connection_failure.
        database.failures[getattr(original, "pgcode", None) or "08006"] += 1


def _disconnect_from_unusable_server(error: PeeweeException) -> None:
    """Replace all connections if their server became read-only or does not respond.

    A read-only server is a standby, or the old primary of a failover: new connections go to the
    primary.
    """
    original = getattr(error, "orig", None)
    if isinstance(original, (errors.ReadOnlySqlTransaction, NoResponse)):
        assert database.pool is not None  # noqa: S101  # a statement has run, so there is a pool
        database.pool.replace_connections()


def _is_retryable(error: PeeweeException) -> bool:
    sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
    return sqlstate in _RETRYABLE_SQLSTATES or _constraint(error) in RETRYABLE_CONSTRAINTS


def _constraint(error: PeeweeException) -> str:
    """Return the name of the constraint that was violated; empty if there is none."""
    original = getattr(error, "orig", None)
    return original.diag.constraint_name or "" if isinstance(original, psycopg2.Error) else ""


def _lock_timeout(error: psycopg2.Error) -> DomainError:
    # PostgreSQL names the table only in the error's context. The server translates this text
    # (lc_messages), but not the table's name in it. For an insert that waits for the same key, the
    # context names the primary key's index instead.
    context = error.diag.context or ""
    for table, error_class in ERROR_BY_LOCKED_TABLE.items():
        if f'"{table}"' in context or f'"pk_{table}"' in context:
            return error_class()
    return Locked()
