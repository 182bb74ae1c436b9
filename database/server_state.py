"""The state of the database server: whether it accepts writes, its disk, and its clock."""

from __future__ import annotations

import time
from typing import NamedTuple

from database.binding import database
from database.statement import Statement
from database.transactions import autocommit, transaction
from domain.errors import Unavailable

_DISK_FULL = "53100"


class ServerState(NamedTuple):
    """The state of the database server."""

    is_read_only: bool = False
    # How much its clock is ahead of the clock of this machine, and the error of this measurement.
    clock_skew_seconds: float = 0.0
    clock_error_seconds: float = 0.0


class _Row(NamedTuple):
    is_read_only: bool
    now: float


_STATE = Statement(
    "SELECT current_setting('transaction_read_only')::boolean AS is_read_only,"
    " extract(epoch FROM clock_timestamp())::float8 AS now",
    _Row._make,
)


def check() -> ServerState:
    """Return the state of the database server. If it is read-only, replace all pooled connections.

    The usual reason is a failover: the old primary is read-only, and new connections reach the new
    primary.

    Raises:
        Unavailable: the server does not respond.
    """
    state = _read()
    if state.is_read_only:
        assert database.pool is not None  # noqa: S101  # a statement has run, so there is a pool
        database.pool.replace_connections()
    return state


@autocommit
def _read() -> ServerState:
    started_at = time.time()
    row = _STATE.one()
    assert row is not None  # noqa: S101  # it always returns one row
    ended = time.time()
    # The server has read its clock between request and response.
    return ServerState(
        row.is_read_only, row.now - (started_at + ended) / 2, (ended - started_at) / 2
    )


def is_disk_full() -> bool:
    """Return whether statements failed because the disk is full, and it still is.

    Runs no statement unless a statement of this process has failed for this reason. Then it makes
    the server write a temporary file of about 1 MB, which needs no privilege.

    Raises:
        Unavailable: the server does not respond.
    """
    failures = database.failures[_DISK_FULL]
    if failures == database.resolved_disk_full_failures:
        return False
    try:
        _write_temporary_file()
    except Unavailable:
        if database.failures[_DISK_FULL] == failures:
            raise  # for another reason
        return True
    database.resolved_disk_full_failures = failures
    return False


@transaction
def _write_temporary_file() -> None:
    # generate_series() in FROM materializes its rows; above work_mem they go to a temporary file.
    database.execute_sql("SET LOCAL work_mem = '64kB'")
    database.execute_sql("SELECT count(*) FROM generate_series(1, 100000)")
