"""Drops the tables of an empty shop before a restore. An interrupted restore can be repeated.

A marker, an empty table, says that a restore has begun and is not finished. It is created together
with the removal of the old tables, and `migrations.apply` drops it: the last step of a restore, or
the first of a server that starts after an interrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import sql

from database.binding import ShopDatabase
from database.connection import connect_as_owner
from domain.errors import Unavailable

MARKER = "restore_in_progress"

_OTHER_CLIENTS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""


class ShopNotEmpty(Exception):  # noqa: N818  # named after what is wrong
    """The shop is not empty. Restore into a new database, or another data directory."""


class DatabaseInUse(Exception):  # noqa: N818  # named after what is wrong
    """Other programs are connected to the database. Stop all servers and workers of the shop."""


def prepare(owner_url: str, tables: Sequence[str], contents: Sequence[str]) -> None:
    """Drop tables, and create the marker, if the tables `contents` have no rows.

    They may have rows if the marker exists: then an interrupted restore created them, and the shop
    was not used since.

    Raises:
        ShopNotEmpty: there are rows, and no marker.
        DatabaseInUse: there are other connections to the database.
        Unavailable: the database cannot be reached.
    """
    try:
        connection = connect_as_owner(owner_url)
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    with closing(connection), connection, connection.cursor() as cursor:
        if _value(cursor, _OTHER_CLIENTS) > 0:
            raise DatabaseInUse
        if not _exists(cursor, MARKER):
            if any(_exists(cursor, table) and _has_rows(cursor, table) for table in contents):
                raise ShopNotEmpty
            cursor.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(MARKER)))
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(names))


def finish(owner: ShopDatabase) -> None:
    """Drop the marker: the tables now belong to a shop that is used."""
    if owner.execute_sql("SELECT to_regclass(%s) IS NOT NULL", (MARKER,)).fetchone() == (True,):
        owner.execute_sql(f"DROP TABLE {MARKER}")


def _exists(cursor: Any, table: str) -> bool:
    return bool(_value(cursor, "SELECT to_regclass(quote_ident(%s)) IS NOT NULL", (table,)))


def _has_rows(cursor: Any, table: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
    return bool(_value(cursor, query))


def _value(cursor: Any, query: Any, parameters: tuple[object, ...] = ()) -> Any:
    cursor.execute(query, parameters)
    return cursor.fetchone()[0]
