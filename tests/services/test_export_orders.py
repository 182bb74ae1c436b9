"""What an export of orders holds, whatever the clocks say."""

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
    """Have the database's clock be a minute ahead of this machine's."""
    sql(
        "CREATE SCHEMA ahead;"
        "CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
        " AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 minute' $$"
    )
    # Looked up in pg_catalog first, unless that is named later.
    binding.bind(make_dsn(shop, options="-c search_path=ahead,pg_catalog,public"))
    yield
    binding.close()
    sql("DROP SCHEMA ahead CASCADE")


def test_what_was_placed_before_is_in_it_though_the_database_lives_by_a_clock_that_is_ahead(
    database_ahead: None, admin: Actor, client: Actor, add_product: AddProduct
):
    order = orders.create_order(
        actor=client, items=[(add_product().id, 1)], idempotency_key=None
    ).order

    assert [order.id] == [one.id for one in orders.export_orders(actor=admin)]


def test_what_is_placed_while_it_is_read_is_not_in_it(
    admin: Actor, client: Actor, add_product: AddProduct
):
    mug = add_product(1000)

    def place() -> UUID:
        return orders.create_order(actor=client, items=[(mug.id, 1)], idempotency_key=None).order.id

    placed = [place() for _ in range(250)]  # more than are read at once
    export = orders.export_orders(actor=admin)
    place()

    assert placed == [one.id for one in export]
