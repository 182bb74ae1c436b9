"""Buckets that attempts are taken out of, shared by every process that uses the database.

The generic cell rate algorithm (ITU-T I.371): a bucket is one instant, at which it will be full
again, and each attempt puts that instant off. One statement looks and takes, so that no two
attempts share a place.
"""

from __future__ import annotations

from typing import NamedTuple

from peewee import TextField

from database.statement import Command, Statement
from database.table import InstantField, Table, index, primary_key


class ThrottleTable(Table):
    """How often somebody has tried of late."""

    bucket = TextField(collation='"C"')
    full_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "throttle"
        constraints = (primary_key("pk_throttle", "bucket"),)


index(ThrottleTable, "ix_throttle_full_at", "full_at")


class Taken(NamedTuple):
    """Whether an attempt may be made; if not, after how many seconds the next one may."""

    allowed: bool
    wait_seconds: float


# SQL rather than the builder: it has no alias for the table that an upsert finds its conflict in.
# `interval` is how long one attempt takes to come back, `window` how long all of them do; both
# are in seconds. What is refused takes nothing, or whoever goes on trying would never get in.
TAKE = Statement(
    """
    WITH taken AS (
        INSERT INTO throttle AS known (bucket, full_at)
        VALUES (%(bucket)s, clock_timestamp() + make_interval(secs => %(interval)s))
        ON CONFLICT (bucket) DO UPDATE
        SET full_at = greatest(known.full_at, clock_timestamp())
            + make_interval(secs => %(interval)s)
        WHERE greatest(known.full_at, clock_timestamp()) + make_interval(secs => %(interval)s)
            <= clock_timestamp() + make_interval(secs => %(window)s)
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM taken), coalesce(
        (SELECT date_part('epoch', full_at - clock_timestamp()) FROM throttle
            WHERE bucket = %(bucket)s), 0)
        + %(interval)s - %(window)s
    """,
    Taken._make,
)

GIVE_BACK = Command(
    """
    UPDATE throttle SET full_at = full_at - make_interval(secs => %(interval)s)
    WHERE bucket = %(bucket)s
    """
)

# A full bucket is like one that was never used. Those that somebody is using are left for later.
PURGE = Command(
    """
    DELETE FROM throttle WHERE bucket IN (
        SELECT bucket FROM throttle WHERE full_at < now() LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
)
