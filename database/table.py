"""The base of all table classes: named constraints, no implicit ids, no implicit indexes."""

from __future__ import annotations

from typing import Any

from peewee import SQL, Check, DateTimeField, Field, ForeignKeyField, Model, Node

from database.binding import database


class Table(Model):
    """Base class of the tables. It is never instantiated: rows are read as named tuples."""

    class Meta:
        """Options of all tables."""

        database = database
        # Peewee's own primary key has no name; each table declares a named constraint instead.
        primary_key = False
        legacy_table_names = False


# The lock that an UPDATE takes. FOR UPDATE is stronger: foreign key checks would wait for it.
NO_KEY_UPDATE: Any = "FOR NO KEY UPDATE"
# Prevents updates of the row; several transactions can hold it.
SHARE: Any = "FOR SHARE"

# Like NO_KEY_UPDATE, but skips rows that another transaction has locked.
NO_KEY_UPDATE_SKIP_LOCKED: Any = "FOR NO KEY UPDATE SKIP LOCKED"


class InstantField(DateTimeField):
    """A point in time (timestamptz)."""

    field_type = "TIMESTAMPTZ"


class DocumentField(Field):
    """A JSON document (jsonb) that is read and written as a whole."""

    field_type = "JSONB"


def foreign_key(table: type[Table], name: str, **options: Any) -> ForeignKeyField:
    """Return a foreign key column with a named constraint, without Peewee's implicit index."""
    return ForeignKeyField(
        table,
        field="id",
        constraint_name=name,
        index=False,
        lazy_load=False,
        backref="+",  # no back-reference on the other table class
        **options,
    )


def primary_key(name: str, *columns: str) -> SQL:
    """Return a named primary key constraint."""
    return SQL(f"CONSTRAINT {name} PRIMARY KEY ({', '.join(columns)})")


def unique(name: str, *columns: str) -> SQL:
    """Return a named unique constraint."""
    return SQL(f"CONSTRAINT {name} UNIQUE ({', '.join(columns)})")


def check(name: str, condition: str) -> Node:
    """Return a named check constraint."""
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
    """Add a named index to a table."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    suffix = f" INCLUDE ({include})" if include else ""
    suffix += f" WHERE {where}" if where else ""
    table.add_index(
        SQL(f"CREATE {kind} {name} ON {table._meta.table_name} USING {using} ({columns}){suffix}")
    )
