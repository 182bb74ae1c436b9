"""When any worker of the shop last ran its jobs."""

from __future__ import annotations

from typing import NamedTuple

from peewee import TextField

from database.statement import Command, Statement
from database.table import InstantField, Table, primary_key


class WorkerHeartbeatTable(Table):
    """One row, which all workers of the shop update."""

    name = TextField(collation='"C"')
    beat_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "worker_heartbeat"
        constraints = (primary_key("pk_worker_heartbeat", "name"),)


class Heartbeat(NamedTuple):
    """How long ago a worker last ran its jobs."""

    seconds_ago: float


# Several workers write the row about once in 5 seconds together, not each of them.
BEAT = Command(
    """
    INSERT INTO worker_heartbeat AS known (name, beat_at) VALUES ('worker', clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at
    WHERE known.beat_at NOT BETWEEN excluded.beat_at - interval '3 seconds' AND excluded.beat_at
    """
)

FIND = Statement(
    """
    SELECT date_part('epoch', clock_timestamp() - beat_at) AS seconds_ago
    FROM worker_heartbeat WHERE name = 'worker'
    """,
    Heartbeat._make,
)
