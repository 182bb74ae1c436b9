"""The schema: migrations and models create the same tables, constraints, indexes and defaults."""

from __future__ import annotations

from typing import Any

import pytest

from database import binding, migrations
from database.table import Table
from database.transactions import autocommit
from domain import order_status
from models import (
    account_token,
    idempotency_key,
    mail,
    order,
    order_event,
    payment,
    payment_notification,
    product,
    refund,
    security_event,
    session,
    stock_movement,
    throttle,
    user,
    worker_heartbeat,
)
from services import security_events

TABLES = [
    table
    for module in (
        user,
        session,
        product,
        order,
        payment,
        refund,
        payment_notification,
        order_event,
        idempotency_key,
        stock_movement,
        security_event,
        throttle,
        worker_heartbeat,
        mail,
        account_token,
        migrations,
    )
    for table in vars(module).values()
    if isinstance(table, type) and issubclass(table, Table) and table.__module__ == module.__name__
]

QUERIES = {
    "tables": """
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
    """,
    "columns": """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated,
            attidentity, collname, pg_get_expr(adbin, adrelid)
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
            AND attnum > 0 AND NOT attisdropped
    """,
    "constraints": """
        SELECT relname, conname, contype, condeferrable, convalidated, pg_get_constraintdef(c.oid)
        FROM pg_constraint AS c JOIN pg_class ON pg_class.oid = conrelid
        WHERE connamespace = %(schema)s::regnamespace
    """,
    "indexes": """
        SELECT tablename, indexname, replace(indexdef, %(schema)s || '.', '') FROM pg_indexes
        WHERE schemaname = %(schema)s
    """,
}


@autocommit
def read_schema(schema: str) -> dict[str, set[tuple[Any, ...]]]:
    """Return the tables, columns, constraints and indexes of a schema, without its name."""

    def rows(query: str) -> set[tuple[Any, ...]]:
        found = binding.database.execute_sql(query, {"schema": schema}).fetchall()
        return {tuple(str(value).replace(f"{schema}.", "") for value in row) for row in found}

    return {kind: rows(query) for kind, query in QUERIES.items()}


@pytest.fixture
def both_schemas(empty_database_url: str) -> None:
    """Create the tables by migrations in one schema, and from the models in another."""
    binding.bind(empty_database_url)
    migrations.apply()
    with binding.database.connection_context(), binding.database.atomic():
        binding.database.execute_sql("CREATE SCHEMA by_models; SET LOCAL search_path = by_models")
        binding.database.create_tables(TABLES, safe=False)


def test_migrations_and_models_create_the_same_schema(both_schemas: None):
    by_migrations, by_models = read_schema("public"), read_schema("by_models")

    for kind in QUERIES:
        assert by_migrations[kind], kind
        assert by_models[kind] == by_migrations[kind]
    assert len(TABLES) == 22


def test_every_constraint_and_index_is_named_by_the_convention(both_schemas: None):
    found = read_schema("public")
    prefixes = {"p": "pk_", "u": "uq_", "c": "ck_", "f": "fk_"}

    for _, name, kind, *_ in found["constraints"]:
        # PostgreSQL 18 lists NOT NULL as a constraint and chooses its name.
        assert kind == "n" or name.startswith(prefixes[kind]) or name == "stock_not_negative"
    for _, name, _ in found["indexes"]:
        assert name.startswith(("pk_", "uq_", "ix_"))


def test_only_portable_column_types_and_no_deferrable_constraints_are_used(both_schemas: None):
    found = read_schema("public")

    assert {deferrable for _, _, _, deferrable, _, _ in found["constraints"]} == {"False"}
    types = {column[2] for column in found["columns"]}
    assert types == {
        "uuid",
        "text",
        "boolean",
        "bytea",
        "jsonb",
        "bigint",
        "integer",
        "smallint",
        "tsvector",
        "timestamp with time zone",
    }


def test_the_order_statuses_in_the_domain_equal_those_in_the_check_constraint(both_schemas: None):
    (check,) = (
        definition
        for _, name, _, _, _, definition in read_schema("public")["constraints"]
        if name == "ck_orders_status"
    )

    assert set(order_status.STATUSES) == set(check.split("'")[1::2])


def test_the_security_event_types_in_the_service_equal_those_in_the_check_constraint(
    both_schemas: None,
):
    (check,) = (
        definition
        for _, name, _, _, _, definition in read_schema("public")["constraints"]
        if name == "ck_security_event_type"
    )

    assert set(security_events.TYPES) == set(check.split("'")[1::2])


@autocommit
def persistence_and_privileges(table: str) -> tuple[Any, ...]:
    """Return whether a table is logged, and the privileges of its owner."""
    query = "SELECT relpersistence, relacl::text FROM pg_class WHERE oid = %(table)s::regclass"
    row: tuple[Any, ...] = binding.database.execute_sql(query, {"table": table}).fetchone()
    return row


def test_the_security_log_can_only_be_read_and_appended_to(both_schemas: None):
    _, privileges = persistence_and_privileges("security_event")

    (owner,) = privileges.strip("{}").split(",")
    granted = owner.partition("=")[2].partition("/")[0]
    assert {"a", "r"} <= set(granted)
    assert not {"w", "d", "D"} & set(granted)


def test_the_rate_limit_table_is_unlogged(both_schemas: None):
    assert persistence_and_privileges("throttle")[0] == "u"


@pytest.fixture(autouse=True)
def _unbind() -> Any:
    yield
    binding.close()
