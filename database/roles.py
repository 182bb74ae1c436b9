"""Grants privileges to the database role that serves requests, and revokes all others.

The role of the bound database is the role with which the application connects to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from psycopg2 import sql

from database.binding import database
from database.connection import connect_as_owner
from database.transactions import autocommit

# The key of the advisory lock that prevents two processes from granting at the same time.
_LOCK = 0x0DE2_1701

_TABLE_PRIVILEGES = """
    SELECT relname, array_agg(privilege_type) FILTER (WHERE privilege_type IS NOT NULL)
    FROM pg_class LEFT JOIN LATERAL aclexplode(relacl) ON grantee = %s::regrole
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
    GROUP BY relname
"""
_CREATE_PRIVILEGES = """
    SELECT has_database_privilege(%(role)s, current_database(), 'TEMPORARY'),
        has_schema_privilege(%(role)s, current_schema(), 'CREATE'),
        quote_ident(current_database()), quote_ident(current_schema())
"""
_IS_SUPERUSER_OR_OWNER = """
    SELECT rolsuper OR EXISTS (
        SELECT FROM pg_class
        WHERE oid = to_regclass(%s) AND pg_has_role(current_user, relowner, 'MEMBER'))
    FROM pg_roles WHERE rolname = current_user
"""


@autocommit
def current_role() -> str:
    """Return the role of the bound database."""
    role: str = database.execute_sql("SELECT current_user").fetchone()[0]
    return role


@autocommit
def may_migrate() -> bool:
    """Return whether the role of the bound database may create tables."""
    statement = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    return bool(database.execute_sql(statement).fetchone()[0])


@autocommit
def bypasses_privileges(table: str) -> bool:
    """Return whether grants do not limit the current role: it is a superuser or owns the table."""
    return bool(database.execute_sql(_IS_SUPERUSER_OR_OWNER, (table,)).fetchone()[0])


def grant(owner_url: str, role: str, privileges: Mapping[str, frozenset[str]]) -> None:
    """Grant a role exactly these privileges on tables, and revoke its privileges to create tables.

    `privileges` maps the names of tables to privileges such as `SELECT`; the role gets no privilege
    on other tables. Connects as the owner of the tables. Does nothing if the role is the owner.
    """
    with (
        closing(connect_as_owner(owner_url)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT current_user = %s, pg_advisory_xact_lock(%s)", (role, _LOCK))
        is_owner, _ = cursor.fetchone() or (True, None)
        if is_owner:
            return
        _revoke_creation(cursor, role)
        cursor.execute(_TABLE_PRIVILEGES, (sql.Identifier(role).as_string(connection),))
        for table, granted in cursor.fetchall():
            wanted = privileges.get(table, frozenset())
            if wanted != frozenset(granted or ()):
                _replace_privileges(cursor, role, table, wanted)


def _revoke_creation(cursor: Any, role: str) -> None:
    """Revoke the privileges to create tables that PostgreSQL grants to all roles by default.

    These are TEMPORARY on the database and, before PostgreSQL 15, CREATE on the schema. If the
    owner of the tables does not own the database or the schema, PostgreSQL only issues a warning.
    """
    cursor.execute(_CREATE_PRIVILEGES, {"role": role})
    temporary, create, database_name, schema_name = cursor.fetchone()
    if temporary:
        cursor.execute(f"REVOKE TEMPORARY ON DATABASE {database_name} FROM PUBLIC")
    if create:
        cursor.execute(f"REVOKE CREATE ON SCHEMA {schema_name} FROM PUBLIC")


def _replace_privileges(cursor: Any, role: str, table: str, wanted: frozenset[str]) -> None:
    names = {"table": sql.Identifier(table), "role": sql.Identifier(role)}
    cursor.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}").format(**names))
    if wanted:
        kinds = sql.SQL(", ").join(map(sql.SQL, sorted(wanted)))
        cursor.execute(sql.SQL("GRANT {kinds} ON {table} TO {role}").format(kinds=kinds, **names))
