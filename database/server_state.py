"""What the database server says of itself: whether it accepts writes, and what time it has."""

from __future__ import annotations

import time
from typing import NamedTuple

from database.statement import Statement
from database.transactions import autocommit


class ServerState(NamedTuple):
    """The state of the database server."""

    is_read_only: bool = False
    # How much its clock is ahead of the clock of this machine.
    clock_skew_seconds: float = 0.0


class _Answer(NamedTuple):
    is_read_only: bool
    now: float


_STATE = Statement(
    "SELECT current_setting('transaction_read_only')::boolean AS is_read_only,"
    " extract(epoch FROM clock_timestamp())::float8 AS now",
    _Answer._make,
)


@autocommit
def read() -> ServerState:
    """Return the state of the database server.

    Raises:
        Unavailable: the server does not respond.
    """
    began = time.time()
    answer = _STATE.one()
    assert answer is not None  # noqa: S101  # it always returns one row
    # The server has read its clock about halfway between request and response.
    return ServerState(answer.is_read_only, answer.now - (began + time.time()) / 2)
