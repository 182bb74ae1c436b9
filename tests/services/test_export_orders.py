"""An export contains the orders placed before it started, even if clocks differ."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from psycopg2.extensions import make_dsn

from database import binding
from domain.actor import Actor
from services import orders
from tests.support.database import Sql
from tests.support.services import AddProduct


@pytest.fixture
def database_ahead(shop: str, sql: Sql) -> Iterator[None]:
    """Set the database's clock one minute ahead of this machine's clock."""
    sql(
        "CREATE SCHEMA ahead;"
        "CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
        " AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 minute' $$"
    )
    # PostgreSQL searches pg_catalog first unless search_path names it later.
    binding.bind(make_dsn(shop, options="-c search_path=ahead,pg_catalog,public"))
    yield
    binding.close()
    sql("DROP SCHEMA ahead CASCADE")


def test_an_order_placed_before_is_exported_although_the_database_clock_is_ahead(
    database_ahead: None, admin: Actor, client: Actor, add_product: AddProduct
):
    order = orders.create_order(
        actor=client, items=[(add_product().id, 1)], idempotency_key=None
    ).order

    assert [order.id] == [order.id for order in orders.export_orders(actor=admin)]


def test_an_order_placed_during_the_export_is_not_exported(
    admin: Actor, client: Actor, add_product: AddProduct
):
    mug = add_product(1000)

    def place() -> UUID:
        return orders.create_order(actor=client, items=[(mug.id, 1)], idempotency_key=None).order.id

    placed = [place() for _ in range(250)]  # more than one batch
    export = orders.export_orders(actor=admin)
    place()

    assert placed == [order.id for order in export]
