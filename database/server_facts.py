"""The version, role and limits of a PostgreSQL server, for checks before the first start."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import psycopg2

from domain.errors import Unavailable

_CONNECT_SECONDS = 10
_STATEMENT_TIMEOUT_MS = 5000

# `reserved_connections` exists since PostgreSQL 16.
_FACTS = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,
        current_user, current_database(), pg_is_in_recovery(),
        current_setting('default_transaction_read_only')::bool,
        (SELECT system_identifier FROM pg_control_system())::text,
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int,
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
        pg_encoding_to_char(encoding)
    FROM pg_database WHERE datname = current_database()
"""


@dataclass(frozen=True)
class ServerFacts:
    """The server, the database and the role of a connection."""

    version: str
    major_version: int
    role: str
    database: str
    is_standby: bool
    is_read_only: bool
    # Identifies the cluster: a primary and its standbys have the same.
    system_identifier: str
    server_connections: int
    # None: unlimited.
    role_connections: int | None
    database_connections: int | None
    encoding: str

    @cached_property
    def max_connections(self) -> int:
        """The number of connections that the role can open if there are no others."""
        limits = (self.server_connections, self.role_connections, self.database_connections)
        return min(limit for limit in limits if limit is not None)


def server_facts(url: str) -> ServerFacts:
    """Connect to a server and return its facts.

    Raises:
        Unavailable: the server cannot be reached, or refuses the role. The cause is libpq's error.
    """
    try:
        with (
            closing(psycopg2.connect(url, connect_timeout=_CONNECT_SECONDS)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT_MS}")
            cursor.execute(_FACTS)
            row = cursor.fetchone()
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    assert row is not None  # noqa: S101  # one row: the current database
    return ServerFacts(*row)
