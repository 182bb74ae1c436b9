"""What the migrations make is what the models say, to the last check and default."""

from __future__ import annotations

from typing import Any

import pytest

from database import binding, migrations
from database.table import Table
from database.transactions import autocommit
from domain import order_status
from models import (
    idempotency_key,
    order,
    order_event,
    product,
    security_event,
    session,
    stock_movement,
    throttle,
    user,
)
from services import security_events

TABLES = [
    table
    for module in (
        user,
        session,
        product,
        order,
        order_event,
        idempotency_key,
        stock_movement,
        security_event,
        throttle,
        migrations,
    )
    for table in vars(module).values()
    if isinstance(table, type) and issubclass(table, Table) and table.__module__ == module.__name__
]

CATALOGUE = {
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
def catalogue(schema: str) -> dict[str, set[tuple[Any, ...]]]:
    """Return what there is in a schema, without the schema's own name."""

    def rows(query: str) -> set[tuple[Any, ...]]:
        found = binding.database.execute_sql(query, {"schema": schema}).fetchall()
        return {tuple(str(value).replace(f"{schema}.", "") for value in row) for row in found}

    return {kind: rows(query) for kind, query in CATALOGUE.items()}


@pytest.fixture
def both_ways(empty_database_url: str) -> None:
    """Make the tables by the migrations, and beside them from the models."""
    binding.bind(empty_database_url)
    migrations.apply()
    with binding.database.connection_context(), binding.database.atomic():
        binding.database.execute_sql("CREATE SCHEMA by_models; SET LOCAL search_path = by_models")
        binding.database.create_tables(TABLES, safe=False)


def test_migrations_and_models_make_the_same_schema(both_ways: None):
    by_migrations, by_models = catalogue("public"), catalogue("by_models")

    for kind in CATALOGUE:
        assert by_migrations[kind], kind
        assert by_models[kind] == by_migrations[kind]
    assert len(TABLES) == 13


def test_every_constraint_and_index_has_a_name_of_ours(both_ways: None):
    found = catalogue("public")
    prefixes = {"p": "pk_", "u": "uq_", "c": "ck_", "f": "fk_"}

    for _, name, kind, *_ in found["constraints"]:
        # PostgreSQL 18 counts NOT NULL among the constraints, and names it itself.
        assert kind == "n" or name.startswith(prefixes[kind]) or name == "stock_not_negative"
    for _, name, _ in found["indexes"]:
        assert name.startswith(("pk_", "uq_", "ix_"))


def test_nothing_is_used_that_does_not_travel(both_ways: None):
    found = catalogue("public")

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


def test_statuses_of_the_domain_and_of_the_table_are_the_same(both_ways: None):
    (check,) = (
        definition
        for _, name, _, _, _, definition in catalogue("public")["constraints"]
        if name == "ck_orders_status"
    )

    assert set(order_status.STATUSES) == set(check.split("'")[1::2])


def test_types_of_security_events_are_the_same_in_the_rules_and_in_the_table(both_ways: None):
    (check,) = (
        definition
        for _, name, _, _, _, definition in catalogue("public")["constraints"]
        if name == "ck_security_event_type"
    )

    assert set(security_events.TYPES) == set(check.split("'")[1::2])


@autocommit
def facts_of(table: str) -> tuple[Any, ...]:
    """Return how a table is kept, and what its owner may do with it."""
    query = "SELECT relpersistence, relacl::text FROM pg_class WHERE oid = %(table)s::regclass"
    row: tuple[Any, ...] = binding.database.execute_sql(query, {"table": table}).fetchone()
    return row


def test_the_security_log_may_be_appended_to_and_read_alone(both_ways: None):
    _, privileges = facts_of("security_event")

    (owner,) = privileges.strip("{}").split(",")
    granted = owner.partition("=")[2].partition("/")[0]
    assert {"a", "r"} <= set(granted)
    assert not {"w", "d", "D"} & set(granted)


def test_buckets_are_not_logged(both_ways: None):
    assert facts_of("throttle")[0] == "u"


@pytest.fixture(autouse=True)
def _unbind() -> Any:
    yield
    binding.close()
