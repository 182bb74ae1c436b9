"""One connection to PostgreSQL: its time limits, and how its values become Python's."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import orjson
import psycopg2
from psycopg2 import extensions

from database.pool import Connection

# How much longer than the server's own limit to wait for its answer.
_PATIENCE_SECONDS = 2.0

# What is prepared here finds rows by their keys: there is no better plan for some keys than for
# others. PostgreSQL would estimate that anew, five times or for ever.
_PLAN_CACHE_MODE = "force_generic_plan"

# A shop's tables are in memory or on a disk without a moving head: a page out of turn costs hardly
# more than the next one. PostgreSQL takes it for four times as dear and reads whole tables instead.
_RANDOM_PAGE_COST = 1.1

# PostgreSQL's own numbers for its types uuid, json and jsonb.
_UUID_OIDS = (2950,)
_JSON_OIDS = (114, 3802)


def open_connection(
    url: str, *, connect_timeout: float, statement_timeout: float, lock_timeout: float
) -> Connection:
    """Return a new connection in autocommit, which speaks UTC and the shop's types.

    Times are in seconds. What the URL itself says (`options`, keepalives and the like) holds.
    """
    limits = {"statement_timeout": statement_timeout, "lock_timeout": lock_timeout}
    options = [
        *(f"-c {name}={round(at * 1000)}" for name, at in limits.items() if at),
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
    said = extensions.parse_dsn(url)
    connection: Connection = psycopg2.connect(
        url,
        connection_factory=partial(Connection, time_limit=connect_timeout),
        **{name: value for name, value in settings.items() if name not in said},  # type: ignore[call-overload]
    )
    connection.autocommit = True
    for kind in (_UUIDS, _JSON):
        extensions.register_type(kind, connection)
    if connection.get_parameter_status("TimeZone") not in {"UTC", "Etc/UTC"}:
        # A pooler in transaction mode keeps this one setting for each of its clients.
        connection.cursor().execute("SET TIME ZONE 'UTC'")
    connection.keeps_session = _keeps_session(connection)
    connection.time_limit = statement_timeout + _PATIENCE_SECONDS if statement_timeout else None
    return connection


def _keeps_session(connection: Connection) -> bool:
    """Tell whether the options we sent have reached the server: a pooler holds them back."""
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('plan_cache_mode')")
    return bool(cursor.fetchone() == (_PLAN_CACHE_MODE,))


def uuid_of(text: Any) -> UUID:
    """Return the UUID that PostgreSQL has spelled: trusted to be one, at half the cost."""
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
