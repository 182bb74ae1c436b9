"""Named queries: written by Peewee once, planned by PostgreSQL once, run ever after.

Peewee takes ten times as long to write the SQL of a query as to run it, and PostgreSQL about as
long to plan it as to carry it out. For a query whose shape is fixed both come to the same each
time. So its SQL is written when the module is imported:

    FIND = Statement(UserTable.select(...).where(UserTable.email == Parameter("email")), User._make)

    FIND.one(email="ada@example.com")

and each connection that keeps its session prepares it when it first runs it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from peewee import ColumnBase, Context, Node, NotSupportedError, Query

from database.binding import database

Row = TypeVar("Row")

_PARAMETER = re.compile(r"%\((\w+)\)s")
_numbers = itertools.count(1)


class Parameter(ColumnBase):
    """A value that a statement is given each time it runs; no field converts it."""

    def __init__(self, name: str, cast: str | None = None) -> None:
        self._name = name
        self._type = f"::{cast}" if cast else ""

    def __sql__(self, ctx: Context) -> Context:
        return ctx.literal(f"%({self._name})s{self._type}")


class _Named:
    """The SQL of a query and, for connections that keep their session, its preparation."""

    def __init__(self, query: Query | str, *, prepared: bool) -> None:
        self.sql = query if isinstance(query, str) else sql_of(query)
        names = list(dict.fromkeys(_PARAMETER.findall(self.sql)))
        body = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", self.sql)
        if "%" in body:
            raise TypeError("a % in SQL is the driver's: make it part of a Parameter")
        self._name = f"named_{next(_numbers)}" if prepared else None
        arguments = ", ".join(f"%({name})s" for name in names)
        self._prepare = f"PREPARE {self._name} AS {body}"
        self._execute = f"EXECUTE {self._name}({arguments})" if names else f"EXECUTE {self._name}"

    def _run(self, parameters: Mapping[str, object]) -> Any:
        connection = database.session()
        if connection is None or self._name is None:
            return database.execute_sql(self.sql, parameters)
        if self._name not in connection.prepared:
            database.execute_sql(self._prepare)
            connection.prepared.add(self._name)
        try:
            return database.execute_sql(self._execute, parameters)
        except NotSupportedError:
            # A migration has changed the type of a column under the prepared statement.
            connection.retire()
            raise


class Statement(_Named, Generic[Row]):
    """A statement that gives rows, its parameters named, and what becomes of each row.

    `query` is a Peewee query with `Parameter`s in it, or SQL with `%(name)s`. `row` makes a row
    from a tuple of columns: for a named tuple, its `_make`. `prepared` is for queries whose best
    plan does not depend on their parameters.
    """

    def __init__(
        self, query: Query | str, row: Callable[[Sequence[Any]], Row], *, prepared: bool = True
    ) -> None:
        super().__init__(query, prepared=prepared)
        self._row = row

    def all(self, **parameters: object) -> list[Row]:
        """Run it and return every row."""
        return list(map(self._row, self._run(parameters).fetchall()))

    def one(self, **parameters: object) -> Row | None:
        """Run it and return the first row, None where there is none."""
        columns = self._run(parameters).fetchone()
        return None if columns is None else self._row(columns)


class Command(_Named):
    """A statement that only writes, its parameters named."""

    def __init__(self, query: Query | str) -> None:
        super().__init__(query, prepared=True)

    def execute(self, **parameters: object) -> int:
        """Run it and return how many rows it wrote."""
        count: int = self._run(parameters).rowcount
        return count


def sql_of(query: Node) -> str:
    """Return a query's SQL with its parameters named and its constants written out."""
    text: str = _StatementContext(**database.get_context_options()).sql(query).query()[0]
    return text


class _StatementContext(Context):
    """Writes constants into the SQL, so that named parameters are all there is to fill in."""

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Context:
        if not add_param:
            raise TypeError("SQL() takes no parameters here: put a Parameter beside it")
        if isinstance(value, Node):
            self.sql(value)
            return self
        convert = converter or (self.state.converter if converter is None else None)
        self.literal(_constant(convert(value) if convert else value))
        return self


def _constant(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value).upper()
    if isinstance(value, str) and "\\" not in value and "%" not in value:
        return "'{}'".format(value.replace("'", "''"))
    raise TypeError(f"{value!r} is no constant for SQL: make it a Parameter")
