"""Rate limits, shared by every process that uses the database.

The generic cell rate algorithm (GCRA, ITU-T I.371). A bucket is stored as `full_at`: the time when
it will be full again. Each attempt moves `full_at` into the future. One statement both checks and
updates the bucket, so that two concurrent attempts cannot use the same capacity.
"""

from __future__ import annotations

from typing import NamedTuple

from peewee import TextField

from database.statement import Command, Statement
from database.table import InstantField, Table, index, primary_key


class ThrottleTable(Table):
    """Buckets, one for each subject of a limit: an account, a network, or both."""

    bucket = TextField(collation='"C"')
    full_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "throttle"
        constraints = (primary_key("pk_throttle", "bucket"),)


index(ThrottleTable, "ix_throttle_full_at", "full_at")


class Attempt(NamedTuple):
    """Whether an attempt is allowed; if not, the number of seconds until one is allowed."""

    allowed: bool
    wait_seconds: float


# Written as SQL, since Peewee cannot alias the table of an upsert. A bucket regains one
# attempt in `interval` seconds, and all attempts in `window` seconds. A refused attempt does not
# change the bucket; otherwise a client that keeps trying would never be allowed.
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
    Attempt._make,
)

# Undoes one TAKE.
REFUND = Command(
    """
    UPDATE throttle SET full_at = full_at - make_interval(secs => %(interval)s)
    WHERE bucket = %(bucket)s
    """
)

# Deletes full buckets, which are equivalent to no bucket. SKIP LOCKED skips buckets in use.
PURGE = Command(
    """
    DELETE FROM throttle WHERE bucket IN (
        SELECT bucket FROM throttle WHERE full_at < now() LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
)
