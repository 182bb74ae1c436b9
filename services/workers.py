"""Whether a worker runs: unpaid orders expire, and payments are reconciled, only while one does."""

from __future__ import annotations

import math
import time

from database.transactions import autocommit
from models import worker_heartbeat
from services import process


@autocommit
def beat() -> int:
    """Record that a worker runs. A job of the worker: returns 0, since no further row is due."""
    worker_heartbeat.BEAT.execute()
    return 0


def is_missing() -> bool:
    """Return whether this server needs a worker, and none has run for too long.

    While this process has been running for less time, there may be none yet.

    Raises:
        Unavailable: the database does not respond.
    """
    limit = process.configuration().worker_silence_seconds
    uptime = time.monotonic() - process.state().started_at
    return bool(limit) and uptime > limit and _silent_for() > limit


@autocommit
def _silent_for() -> float:
    """Return for how many seconds no worker has run."""
    heartbeat = worker_heartbeat.FIND.one()
    return math.inf if heartbeat is None else heartbeat.seconds_ago
