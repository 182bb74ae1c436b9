"""Opens connections to PostgreSQL, with time limits, planner settings and type conversions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID, SafeUUID

import orjson
import psycopg2
from psycopg2 import extensions

from database.hosts import Hosts
from database.pool import Connection

# The server enforces `statement_timeout`. The client waits 2 seconds longer for the response.
_CLIENT_GRACE_SECONDS = 2.0

_KEEPALIVE_PROBES = 3

_OWNER_CONNECT_SECONDS = 5.0

# Orderly's prepared statements look rows up by key, so one generic plan is best for all parameters.
# By default PostgreSQL makes a custom plan for at least the first five executions.
_PLAN_CACHE_MODE = "force_generic_plan"

# The tables are in memory or on an SSD, where a random page read costs little more than a
# sequential one. PostgreSQL's default of 4 makes it prefer sequential scans of whole tables.
_RANDOM_PAGE_COST = 1.1

# The object identifiers (OIDs) of PostgreSQL's types uuid, and json and jsonb.
_UUID_OIDS = (2950,)
_JSON_OIDS = (114, 3802)


class Connector:
    """Opens connections to the database of a URL, in autocommit mode and the time zone UTC.

    All timeouts are in seconds. `connect_timeout` is shared by the hosts of the URL (see `Hosts`).
    The server enforces the other three. With 0, the setting of the server or the role applies (no
    limit by default). `idle_in_transaction_timeout` releases the locks of a client that hangs in a
    transaction.

    TCP keepalive: if the other machine is silent for `keepalive` seconds, both sides close the
    connection.

    A parameter in the URL (`options`, keepalives and others) replaces the parameter set here. So
    `options` in the URL replace all `-c` settings, including the timeouts.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float,
        statement_timeout: float,
        lock_timeout: float,
        idle_in_transaction_timeout: float = 0,
        keepalive: int = 60,
        application_name: str = "orderly",
    ) -> None:
        limits = {
            "statement_timeout": statement_timeout,
            "lock_timeout": lock_timeout,
            "idle_in_transaction_session_timeout": idle_in_transaction_timeout,
        }
        # Half of the time without probes, then three probes, a sixth of the time apart.
        keepalives = {
            "keepalives_idle": max(1, keepalive // 2),
            "keepalives_interval": max(1, keepalive // 6),
            "keepalives_count": _KEEPALIVE_PROBES,
        }
        options = [
            *(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items() if seconds),
            *(f"-c tcp_{name}={value}" for name, value in keepalives.items()),
            f"-c random_page_cost={_RANDOM_PAGE_COST}",
            f"-c plan_cache_mode={_PLAN_CACHE_MODE}",
        ]
        settings = {
            "application_name": application_name,
            "client_encoding": "UTF8",
            **keepalives,
            "tcp_user_timeout": round((statement_timeout or 30) * 1000),
            "options": " ".join(options),
        }
        url_parameters = extensions.parse_dsn(url)
        self._url = url
        self._settings = {
            name: value for name, value in settings.items() if name not in url_parameters
        }
        self._statement_timeout = statement_timeout
        self._hosts = Hosts(url, connect_timeout)

    def __call__(self) -> Connection:
        """Return a new connection.

        Raises:
            psycopg2.OperationalError: no host of the URL accepts one in time.
        """
        return self._hosts.connect(self._connect)

    def _connect(self, host: Mapping[str, str], seconds: float) -> Connection:
        # Each response of the server has a time limit: `seconds` until the connection is set up,
        # then the limit for statements (see the end of this method).
        connection: Connection = psycopg2.connect(
            self._url,
            connection_factory=partial(Connection, time_limit=seconds),
            **{**self._settings, **host},  # type: ignore[call-overload]
        )
        connection.autocommit = True
        for typecaster in (_UUID_TYPECASTER, _JSON_TYPECASTER):
            extensions.register_type(typecaster, connection)
        if connection.get_parameter_status("TimeZone") not in {"UTC", "Etc/UTC"}:
            # Not in `options`, which PgBouncer refuses or drops. SET is safe even in its
            # transaction mode: PgBouncer tracks TimeZone for each client, and restores it on the
            # server connection that the client uses next.
            connection.cursor().execute("SET TIME ZONE 'UTC'")
        connection.supports_prepared_statements = _session_state_persists(connection)
        limit = self._statement_timeout
        connection.time_limit = limit + _CLIENT_GRACE_SECONDS if limit else None
        return connection


def connect_as_owner(url: str) -> Connection:
    """Return a connection for schema changes, without a statement timeout or autocommit.

    Raises:
        psycopg2.OperationalError: no host of the URL accepts one in time.
    """
    connection = Connector(
        url, connect_timeout=_OWNER_CONNECT_SECONDS, statement_timeout=0, lock_timeout=0
    )()
    connection.autocommit = False
    return connection


def _session_state_persists(connection: Connection) -> bool:
    """Return whether session state, such as prepared statements, persists on this connection.

    Behind a pooler in transaction mode, session state is lost between transactions. Such a pooler
    does not pass `options` to the server, so check whether the server has applied them. The result
    is also False if the URL has its own `options` without `plan_cache_mode`: then no statements are
    prepared.
    """
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('plan_cache_mode')")
    return bool(cursor.fetchone() == (_PLAN_CACHE_MODE,))


def uuid_of(text: Any, _cursor: object = None) -> Any:
    """Convert a text from PostgreSQL to a UUID, or None (NULL) to None.

    psycopg2 passes the cursor too. Without validation, this is twice as fast as UUID().
    """
    if text is None:
        return None
    value = object.__new__(UUID)
    object.__setattr__(value, "int", int(text.replace("-", ""), 16))
    object.__setattr__(value, "is_safe", _IS_SAFE)
    return value


# The value that UUID() assigns by default. A constant, since reading an enumeration is slower.
_IS_SAFE = SafeUUID.unknown
_UUID_TYPECASTER = extensions.new_type(_UUID_OIDS, "UUID", uuid_of)
_JSON_TYPECASTER = extensions.new_type(
    _JSON_OIDS, "JSON", lambda text, _cursor: None if text is None else orjson.loads(text)
)
extensions.register_adapter(UUID, lambda value: extensions.AsIs(f"'{value}'::uuid"))
