"""Transactions: how services open them, when they are retried, and what their failures mean.

Only services use the decorators; functions of `models` expect to be called inside one of them.
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
from database.constraints import ERROR_BY_CONSTRAINT, ERROR_BY_LOCKED_TABLE, TRY_AGAIN
from database.pool import Connection
from domain.errors import DomainError, Locked, Unavailable

P = ParamSpec("P")
R = TypeVar("R")

# SQLSTATEs of a transaction that was rolled back and can be retried: serialization_failure,
# deadlock_detected, and feature_not_supported, which is how a prepared statement fails when a
# column's type has changed.
_RETRYABLE = frozenset({"40001", "40P01", "0A000"})
_MOST_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1


def autocommit(function: Callable[P, R]) -> Callable[P, R]:
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


def transaction_without_timeout(function: Callable[P, R]) -> Callable[P, R]:
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
        greenlets.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # spreads retries, no secret
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
