"""Loads the rows of a backup, so that an interrupted restore can be repeated.

A backup is data, and may come from an attacker. The migrations create the tables, and this module
writes all SQL. So no statement, function, trigger or expression of a backup is ever executed.

A marker, an empty table, says that a restore has begun and is not finished. It is created together
with the removal of the old tables, and `services.schema.migrate` drops it at its end: the last step
of a restore, and a step of each start of a server. So a server that starts after an interrupted
restore makes the shop its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from database.binding import database
from database.connection import connect_as_owner
from domain.errors import Unavailable

MARKER = "restore_in_progress"

_OTHER_CLIENTS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""

# Generated columns are computed. The rows of unlogged tables are not backed up.
_COLUMNS = """
    SELECT relname, array_agg(attname::text)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relpersistence = 'p'
        AND relname = ANY(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    GROUP BY relname
"""
_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
        format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s',
            conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid))
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND relname = ANY(%s)
"""
_INDEXES = """
    SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of a table, in the text format of COPY, one a line."""

    table: str
    columns: Sequence[str]
    # PostgreSQL's name of the lines' encoding.
    encoding: str
    lines: Iterator[bytes]


class RowsRefused(Exception):  # noqa: N818  # named after what is wrong
    """The rows are not those of the tables that this version of Orderly creates."""


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


def load(owner_url: str, tables: Collection[str], contents: Iterable[TableRows]) -> None:
    """Insert rows into those of `tables` that exist, in one transaction.

    `contents` must have each table once, with all its columns. Indexes and foreign keys are dropped
    and created again: that is faster, and the order of the tables does not matter.

    Raises:
        RowsRefused: a table or column is missing or unknown, or a row violates a constraint.
        Unavailable: the database cannot be reached.
    """
    try:
        with (
            _copy_enabled(),
            closing(connect_as_owner(owner_url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            names = list(tables)
            recreate = [*_drop(cursor, _FOREIGN_KEYS, names), *_drop(cursor, _INDEXES, names)]
            _copy(cursor, names, contents)
            for statement in reversed(recreate):  # the indexes first
                cursor.execute(statement)
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    except (psycopg2.DataError, psycopg2.IntegrityError) as error:
        # Without the lines that follow, which contain the row.
        raise RowsRefused(_printable(str(error).partition("\n")[0])) from error


def _copy(cursor: Any, tables: list[str], contents: Iterable[TableRows]) -> None:
    cursor.execute(_COLUMNS, (tables,))
    missing = {table: sorted(columns) for table, columns in cursor.fetchall()}
    for rows in contents:
        if rows.table not in tables:
            raise RowsRefused(f"table {rows.table} is unknown")
        expected = missing.pop(rows.table, None)
        if expected is None:
            raise RowsRefused(f"table {rows.table} is unknown in its version, or occurs twice")
        if sorted(rows.columns) != expected:
            different = sorted(set(rows.columns) ^ set(expected)) or rows.columns
            raise RowsRefused(f"table {rows.table} differs in column {different[0]}")
        statement = sql.SQL("COPY {} ({}) FROM STDIN (ENCODING {})").format(
            sql.Identifier(rows.table),
            sql.SQL(", ").join(map(sql.Identifier, rows.columns)),
            sql.Literal(rows.encoding),
        )
        cursor.copy_expert(statement, _Reader(rows.lines))
    if missing:
        raise RowsRefused(f"table {min(missing)} is missing")


def _drop(cursor: Any, query: str, tables: list[str]) -> list[str]:
    """Execute the first column of a query's rows; return the second, which reverses it."""
    cursor.execute(query, (tables,))
    rows = cursor.fetchall()
    for drop, _ in rows:
        cursor.execute(drop)
    return [create for _, create in rows]


class _Reader:
    """Joins lines to parts of at least the size that psycopg2 asks for."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def read(self, size: int) -> bytes:
        parts, length = [], 0
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if length >= size:
                break
        return b"".join(parts)


@contextmanager
def _copy_enabled() -> Iterator[None]:
    """Let this process's connections block: psycopg2 supports COPY only without a wait callback."""
    callback = extensions.get_wait_callback()
    extensions.set_wait_callback(None)
    try:
        yield
    finally:
        extensions.set_wait_callback(callback)


def finish(owner_url: str | None) -> None:
    """Drop the marker, if there is one: the tables now belong to a shop that is used.

    `owner_url` is the URL of the role that owns the tables; None if the bound database's role does.

    Raises:
        Unavailable: the database cannot be reached.
    """
    try:
        connection = connect_as_owner(owner_url or database.database)
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    with closing(connection), connection, connection.cursor() as cursor:
        if _exists(cursor, MARKER):
            # Another process that starts at the same time may have dropped it since.
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(MARKER)))


def _exists(cursor: Any, table: str) -> bool:
    return bool(_value(cursor, "SELECT to_regclass(quote_ident(%s)) IS NOT NULL", (table,)))


def _has_rows(cursor: Any, table: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
    return bool(_value(cursor, query))


def _value(cursor: Any, query: Any, parameters: tuple[object, ...] = ()) -> Any:
    cursor.execute(query, parameters)
    return cursor.fetchone()[0]


def _printable(text: str) -> str:
    """Replace control characters, which a terminal would interpret."""
    return "".join(character if character.isprintable() else "?" for character in text)
