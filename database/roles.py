"""Gives the role that serves requests its privileges, and takes all others from it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import sql

from database.binding import database
from database.transactions import autocommit

# The key of the advisory lock that prevents two processes from granting at the same time.
_LOCK = 0x0DE2_1701

_PRIVILEGES = """
    SELECT relname, array_agg(privilege_type) FILTER (WHERE privilege_type IS NOT NULL)
    FROM pg_class LEFT JOIN LATERAL aclexplode(relacl) ON grantee = %s::regrole
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
    GROUP BY relname
"""
_MAY_CREATE = """
    SELECT has_database_privilege(%(role)s, current_database(), 'TEMPORARY'),
        has_schema_privilege(%(role)s, current_schema(), 'CREATE'),
        quote_ident(current_database()), quote_ident(current_schema())
"""
_CAN_CHANGE = """
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
def can_change_any_row(table: str) -> bool:
    """Return whether no privilege binds the current role: it is a superuser or owns the table."""
    return bool(database.execute_sql(_CAN_CHANGE, (table,)).fetchone()[0])


def grant(owner_url: str, role: str, privileges: Mapping[str, frozenset[str]]) -> None:
    """Let a role do exactly this to the tables, and create nothing.

    `privileges` maps the names of tables to privileges such as `SELECT`; the role gets none on
    other tables. Connects as the owner of the tables. Does nothing if the role is the owner.
    """
    with closing(psycopg2.connect(owner_url)) as connection, connection, connection.cursor() as run:
        run.execute("SELECT current_user = %s, pg_advisory_xact_lock(%s)", (role, _LOCK))
        is_owner, _ = run.fetchone() or (True, None)
        if is_owner:
            return
        _forbid_creation(run, role)
        run.execute(_PRIVILEGES, (sql.Identifier(role).as_string(connection),))
        for table, found in run.fetchall():
            wanted = privileges.get(table, frozenset())
            if wanted != frozenset(found or ()):
                _replace_privileges(run, role, table, wanted)


def _forbid_creation(run: Any, role: str) -> None:
    """Revoke what PostgreSQL grants to all roles: temporary tables, and tables before version 15.

    PostgreSQL only warns if the owner of the tables does not own the database.
    """
    run.execute(_MAY_CREATE, {"role": role})
    temporary, create, database_name, schema_name = run.fetchone()
    if temporary:
        run.execute(f"REVOKE TEMPORARY ON DATABASE {database_name} FROM PUBLIC")
    if create:
        run.execute(f"REVOKE CREATE ON SCHEMA {schema_name} FROM PUBLIC")


def _replace_privileges(run: Any, role: str, table: str, wanted: frozenset[str]) -> None:
    names = {"table": sql.Identifier(table), "role": sql.Identifier(role)}
    run.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}").format(**names))
    if wanted:
        kinds = sql.SQL(", ").join(map(sql.SQL, sorted(wanted)))
        run.execute(sql.SQL("GRANT {kinds} ON {table} TO {role}").format(kinds=kinds, **names))
