"""Named queries: built by Peewee once, run with new parameters ever after.

Peewee spends ten times as long on writing the SQL of a query as on running it, and the SQL of a
query whose shape is fixed is the same each time. So it is written when the module is imported:

    FIND = Statement(UserTable.select(...).where(UserTable.email == Parameter("email")), User._make)

    FIND.one(email="ada@example.com")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from peewee import ColumnBase, Context, Node, Query

from models.database import database

Row = TypeVar("Row")


class Parameter(ColumnBase):
    """A value that a statement is given each time it runs; no field converts it."""

    def __init__(self, name: str, cast: str | None = None) -> None:
        self._name = name
        self._type = f"::{cast}" if cast else ""

    def __sql__(self, ctx: Context) -> Context:
        return ctx.literal(f"%({self._name})s{self._type}")


class Statement(Generic[Row]):
    """A statement that gives rows, its parameters named, and what becomes of each row.

    `query` is a Peewee query with `Parameter`s in it, or SQL with `%(name)s`. `row` makes a row
    from a tuple of columns: for a named tuple, its `_make`.
    """

    def __init__(self, query: Query | str, row: Callable[[Sequence[Any]], Row]) -> None:
        self.sql = query if isinstance(query, str) else sql_of(query)
        self._row = row

    def all(self, **parameters: object) -> list[Row]:
        """Run it and return every row."""
        return list(map(self._row, database.execute_sql(self.sql, parameters).fetchall()))

    def one(self, **parameters: object) -> Row | None:
        """Run it and return the first row, None where there is none."""
        columns = database.execute_sql(self.sql, parameters).fetchone()
        return None if columns is None else self._row(columns)


class Command:
    """A statement that only writes, its parameters named."""

    def __init__(self, query: Query | str) -> None:
        self.sql = query if isinstance(query, str) else sql_of(query)

    def execute(self, **parameters: object) -> int:
        """Run it and return how many rows it wrote."""
        count: int = database.execute_sql(self.sql, parameters).rowcount
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
    if isinstance(value, str) and "\\" not in value:
        # Every % is doubled: the driver takes a single one for the start of a parameter.
        return "'{}'".format(value.replace("'", "''").replace("%", "%%"))
    raise TypeError(f"{value!r} is no constant for SQL: make it a Parameter")
