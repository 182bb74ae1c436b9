"""What all tables have in common: named constraints, no implicit ids, no implicit indexes."""

from __future__ import annotations

from typing import Any

from peewee import SQL, Check, DateTimeField, ForeignKeyField, Model, Node

from database.binding import database


class Table(Model):
    """Base of the tables. Rows are read as named tuples: nobody makes instances of these."""

    class Meta:
        """What holds for every table."""

        database = database
        # Peewee would leave the constraint unnamed: each table names its own below.
        primary_key = False
        legacy_table_names = False


# As strong a lock as changing a row takes, and no stronger: foreign keys go on being checked
# against it, for which FOR UPDATE would have them wait.
NO_KEY_UPDATE: Any = "FOR NO KEY UPDATE"
# Nobody changes the row, and others may hold on to it as well.
SHARE: Any = "FOR SHARE"

# The same for rows that nobody else has locked: others are passed over, not waited for.
NO_KEY_UPDATE_IF_FREE: Any = "FOR NO KEY UPDATE SKIP LOCKED"


class InstantField(DateTimeField):
    """A moment, whatever clock the reader lives by."""

    field_type = "TIMESTAMPTZ"


def reference(table: type[Table], name: str, **options: Any) -> ForeignKeyField:
    """Return a foreign key column with its constraint's name and without a hidden index."""
    return ForeignKeyField(
        table,
        field="id",
        constraint_name=name,
        index=False,
        lazy_load=False,
        backref="+",
        **options,
    )


def primary_key(name: str, *columns: str) -> SQL:
    """Return the named primary key of a table."""
    return SQL(f"CONSTRAINT {name} PRIMARY KEY ({', '.join(columns)})")


def unique(name: str, *columns: str) -> SQL:
    """Return a named unique constraint."""
    return SQL(f"CONSTRAINT {name} UNIQUE ({', '.join(columns)})")


def check(name: str, condition: str) -> Node:
    """Return a named check."""
    return Check(condition, name)


def index(
    table: type[Table],
    name: str,
    columns: str,
    *,
    using: str = "btree",
    include: str = "",
    where: str = "",
    unique: bool = False,
) -> None:
    """Give a table a named index."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    suffix = f" INCLUDE ({include})" if include else ""
    suffix += f" WHERE {where}" if where else ""
    table.add_index(
        SQL(f"CREATE {kind} {name} ON {table._meta.table_name} USING {using} ({columns}){suffix}")
    )
