"""Named queries: their SQL is generated once, and each connection prepares most of them once.

Peewee needs ten times as long to generate the SQL of a query as PostgreSQL needs to run it, and
PostgreSQL needs about as long to plan a simple query as to execute it. For a query whose SQL does
not change, it is enough to do both once. So the SQL is generated when the module is imported:

    FIND = Statement(UserTable.select(...).where(UserTable.email == Parameter("email")), User._make)

    FIND.one(email="ada@example.com")

and each connection runs PREPARE when it executes the statement for the first time. Prepared
statements do not persist through a pooler in transaction mode: there, the SQL is sent each time.

A prepared statement has the name of its variable or the given `name`, so `pg_stat_activity` shows
`/*login*/ EXECUTE "user.FIND"(...)`: the operation of the request, and the statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Any, Generic, TypeVar
from zlib import crc32

import structlog
from peewee import ColumnBase, Context, InterfaceError, Node, NotSupportedError, Query

from database.binding import database
from database.greenlets import in_time_slices
from database.naming import Named
from database.use import current_use

Row = TypeVar("Row")

_PARAMETER = re.compile(r"%\((\w+)\)s")

# Converting this many rows takes at most a few milliseconds: no need to yield to the event loop.
_FEW_ROWS = 5

# PostgreSQL's NAMEDATALEN - 1
_MAX_NAME_LENGTH = 63


class Parameter(ColumnBase):
    """A named parameter of a statement. Its values are passed to psycopg2 unconverted."""

    def __init__(self, name: str, cast: str | None = None) -> None:
        self._name = name
        self._type = f"::{cast}" if cast else ""

    def __sql__(self, ctx: Context) -> Context:
        return ctx.literal(f"%({self._name})s{self._type}")


class _NamedQuery(Named):
    """The SQL of a query, and the PREPARE and EXECUTE commands for it."""

    def __init__(self, query: Query | str, *, prepared: bool, name: str | None = None) -> None:
        super().__init__()
        if name is not None:
            self.name = name
        self.sql = query if isinstance(query, str) else sql_of(query)
        self._parameters = list(dict.fromkeys(_PARAMETER.findall(self.sql)))
        self._positional_sql = _PARAMETER.sub(
            lambda match: f"${self._parameters.index(match[1]) + 1}", self.sql
        )
        if "%" in self._positional_sql:
            raise TypeError("psycopg2 interprets a % in SQL: pass it in a Parameter")
        self._is_prepared = prepared

    @cached_property
    def _prepared_name(self) -> str:
        """The name for PREPARE. PostgreSQL would cut off the end of a long one."""
        name = self.name
        if len(name) <= _MAX_NAME_LENGTH:
            return name
        return f"{name[: _MAX_NAME_LENGTH - 9]} {crc32(name.encode()):08x}"

    @cached_property
    def _execute_command(self) -> str:
        command = f'EXECUTE "{self._prepared_name}"'
        arguments = ", ".join(f"%({name})s" for name in self._parameters)
        return f"{command}({arguments})" if arguments else command

    def _run(self, parameters: Mapping[str, object]) -> Any:
        """Execute the statement; trace it, and log it if it is slow."""
        span = None if database.start_span is None else database.start_span(self.name)
        error: BaseException | None = None
        began = monotonic()
        try:
            return self._send(parameters)
        except BaseException as raised:
            error = raised
            raise
        finally:
            seconds = monotonic() - began
            if span is not None:
                span.end(error)
            if seconds >= database.slow_seconds:
                _log_slow(self.name, seconds, error)
            error = None  # break a reference cycle: its traceback refers to this frame

    def _send(self, parameters: Mapping[str, object]) -> Any:
        use = current_use.get()
        # The comment comes first: pg_stat_activity truncates the text of a long statement
        # (track_activity_query_size).
        comment = f"/*{use.operation}*/ " if use is not None and use.operation else ""
        connection = database.state.conn
        if connection is None:
            raise InterfaceError("no connection: use a decorator of database/transactions.py")
        if not (self._is_prepared and connection.supports_prepared_statements):
            return database.execute_on(connection, comment + self.sql, parameters)
        name = self._prepared_name
        if name not in connection.prepared:
            # Without the comment: all operations share the prepared statement.
            database.execute_on(connection, f'PREPARE "{name}" AS {self._positional_sql}', ())
            connection.prepared.add(name)
        try:
            return database.execute_on(connection, comment + self._execute_command, parameters)
        except NotSupportedError:
            # "cached plan must not change result type": a migration has changed a column's type.
            connection.retire()
            raise


def _log_slow(name: str, seconds: float, error: BaseException | None) -> None:
    """Log a slow statement by its name: its parameters can be personal data."""
    failure = {} if error is None else {"sqlstate": _sqlstate(error)}
    structlog.get_logger("orderly").warning(
        "slow_statement", statement=name, duration_ms=round(seconds * 1000, 3), **failure
    )


def _sqlstate(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", None), "pgcode", None)


class Statement(_NamedQuery, Generic[Row]):
    """A statement that returns rows.

    `query` is a Peewee query that contains `Parameter`s, or SQL with `%(name)s`. `row` makes a row
    from a tuple of column values: for a named tuple, its `_make`. Set `prepared` to False if the
    best query plan depends on the values of the parameters: PostgreSQL then plans each execution,
    instead of reusing one generic plan. `name` is needed only if the statement is not assigned to a
    variable of its module.
    """

    def __init__(
        self,
        query: Query | str,
        row: Callable[[Sequence[Any]], Row],
        *,
        prepared: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(query, prepared=prepared, name=name)
        self._row = row

    def all(self, **parameters: object) -> list[Row]:
        """Execute the statement and return all rows."""
        cursor = self._run(parameters)
        few = cursor.rowcount <= _FEW_ROWS
        return list(map(self._row, cursor.fetchall() if few else in_time_slices(cursor)))

    def one(self, **parameters: object) -> Row | None:
        """Execute the statement and return the first row, or None if there is none."""
        columns = self._run(parameters).fetchone()
        return None if columns is None else self._row(columns)


class Command(_NamedQuery):
    """A statement that writes, and returns no rows."""

    def __init__(self, query: Query | str, *, name: str | None = None) -> None:
        super().__init__(query, prepared=True, name=name)

    def execute(self, **parameters: object) -> int:
        """Execute the statement and return the number of rows that it wrote."""
        count: int = self._run(parameters).rowcount
        return count


def sql_of(query: Node) -> str:
    """Return a query's SQL with named parameters (`%(name)s`) and literal constants."""
    text: str = _LiteralContext(**database.get_context_options()).sql(query).query()[0]
    return text


class _LiteralContext(Context):
    """Renders constants as SQL literals, unlike Peewee's context, which adds parameters instead."""

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Context:
        if not add_param:
            raise TypeError("SQL() cannot have parameters here: use a Parameter")
        if isinstance(value, Node):
            self.sql(value)
            return self
        convert = converter or (self.state.converter if converter is None else None)
        self.literal(_literal(convert(value) if convert else value))
        return self


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value).upper()
    if isinstance(value, str) and "\\" not in value and "%" not in value:
        return "'{}'".format(value.replace("'", "''"))
    raise TypeError(f"{value!r} cannot be an SQL literal: use a Parameter")
