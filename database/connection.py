"""Opens connections to PostgreSQL, with time limits, planner settings and type conversions."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import orjson
import psycopg2
from psycopg2 import extensions

from database.pool import Connection

# The server enforces `statement_timeout`. The client waits this much longer before it gives up.
_CLIENT_GRACE_SECONDS = 2.0

# Prepared statements find rows by their keys, so one generic plan is best for all parameters. By
# default PostgreSQL makes a custom plan for at least the first five executions.
_PLAN_CACHE_MODE = "force_generic_plan"

# The tables are in memory or on an SSD, where a random page read costs little more than a
# sequential one. PostgreSQL's default of 4 makes it prefer sequential scans of whole tables.
_RANDOM_PAGE_COST = 1.1

# The object identifiers (OIDs) of PostgreSQL's types uuid, and json and jsonb.
_UUID_OIDS = (2950,)
_JSON_OIDS = (114, 3802)


def open_connection(
    url: str, *, connect_timeout: float, statement_timeout: float, lock_timeout: float
) -> Connection:
    """Return a new connection in autocommit mode, in the time zone UTC.

    All timeouts are in seconds. Parameters in the URL (`options`, keepalives and others) take
    precedence over the settings here.
    """
    limits = {"statement_timeout": statement_timeout, "lock_timeout": lock_timeout}
    options = [
        *(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items() if seconds),
        f"-c random_page_cost={_RANDOM_PAGE_COST}",
        f"-c plan_cache_mode={_PLAN_CACHE_MODE}",
    ]
    settings = {
        "application_name": "orderly",
        "client_encoding": "UTF8",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": round((statement_timeout or 30) * 1000),
        "options": " ".join(options),
    }
    in_url = extensions.parse_dsn(url)
    connection: Connection = psycopg2.connect(
        url,
        connection_factory=partial(Connection, time_limit=connect_timeout),
        **{name: value for name, value in settings.items() if name not in in_url},  # type: ignore[call-overload]
    )
    connection.autocommit = True
    for kind in (_UUIDS, _JSON):
        extensions.register_type(kind, connection)
    if connection.get_parameter_status("TimeZone") not in {"UTC", "Etc/UTC"}:
        # Not in `options`: PgBouncer in transaction mode tracks this setting for each client.
        connection.cursor().execute("SET TIME ZONE 'UTC'")
    connection.keeps_session = _keeps_session(connection)
    connection.time_limit = statement_timeout + _CLIENT_GRACE_SECONDS if statement_timeout else None
    return connection


def _keeps_session(connection: Connection) -> bool:
    """Return whether the options were applied: a pooler does not pass them to the server."""
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('plan_cache_mode')")
    return bool(cursor.fetchone() == (_PLAN_CACHE_MODE,))


def uuid_of(text: Any) -> UUID:
    """Return the UUID of a text from PostgreSQL; without validation, in half the time of UUID()."""
    value = object.__new__(UUID)
    object.__setattr__(value, "int", int(text.replace("-", ""), 16))
    object.__setattr__(value, "is_safe", _UNKNOWN_SAFETY)
    return value


_UNKNOWN_SAFETY = UUID(int=0).is_safe
_UUIDS = extensions.new_type(
    _UUID_OIDS, "UUID", lambda text, _cursor: None if text is None else uuid_of(text)
)
_JSON = extensions.new_type(
    _JSON_OIDS, "JSON", lambda text, _cursor: None if text is None else orjson.loads(text)
)
extensions.register_adapter(UUID, lambda value: extensions.AsIs(f"'{value}'::uuid"))
