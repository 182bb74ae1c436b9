"""A named query is a `Statement` or `Command` in a module of `models`.

It has the SQL that Peewee would build, and the SQL is built only once.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from peewee import SQL, Case, Tuple

import models
from database import binding
from database.adaptive_search import SearchListing
from database.binding import database
from database.listing import Listing, QueryVariant
from database.statement import Command, Parameter, Statement, sql_of
from database.transactions import autocommit, transaction
from models.product import ProductTable
from models.user import UserTable
from tests.support.concurrency import run_concurrently


@pytest.fixture(autouse=True)
def _as_owner(as_owner: None) -> None:
    """Use the owner's role: tests create tables of their own."""
    del as_owner


SOME_ID = UUID("01a20800-676e-7598-a9cd-edf85c4534c8")


class NameAndPrice(NamedTuple):
    name: str
    price: int


def test_the_sql_of_a_statement_equals_what_peewee_builds_for_the_same_values():
    def query(name: Any, price: Any, limit: Any) -> Any:
        return (
            ProductTable.select(ProductTable.name, ProductTable.price)
            .where(
                (ProductTable.name == name)
                | (ProductTable.price > price)
                | Tuple(ProductTable.price, ProductTable.id).in_([Tuple(price, SOME_ID.hex)])
            )
            .order_by(ProductTable.name.desc())
            .limit(limit)
        )

    text, values = query("Mug", 5, 7).sql()
    built = sql_of(query(Parameter("name"), Parameter("price"), Parameter("limit")))

    assert values == ["Mug", 5, 5, SOME_ID.hex, 7]
    assert built == (
        text.replace("%s", "%(name)s", 1)
        .replace("%s", "%(price)s", 2)
        .replace("%s", f"'{SOME_ID.hex}'", 1)
        .replace("%s", "%(limit)s", 1)
    )


def test_constants_become_sql_literals():
    query = ProductTable.select(Case(None, [(ProductTable.price == 0, "it's free")], 0)).where(
        ProductTable.version > 1, ProductTable.sku.in_(["A", "B"])
    )

    assert sql_of(query) == (
        "SELECT CASE WHEN (\"t1\".\"price\" = 0) THEN 'it''s free' ELSE 0 END"
        ' FROM "product" AS "t1"'
        ' WHERE (("t1"."version" > 1) AND ("t1"."sku" IN (\'A\', \'B\')))'
    )


def test_insert_and_update_statements_take_parameters():
    insert = UserTable.insert({UserTable.email: Parameter("email"), UserTable.active: True})
    update = UserTable.update(name=Parameter("name")).where(UserTable.id == Parameter("id"))

    assert 'INSERT INTO "users" ("email", "active") VALUES (%(email)s, TRUE)' == sql_of(insert)
    assert 'UPDATE "users" SET "name" = %(name)s WHERE ("users"."id" = %(id)s)' == sql_of(update)


@pytest.mark.parametrize(
    "query",
    [
        UserTable.select().where(UserTable.created_at == datetime.now(UTC)),
        UserTable.select().where(UserTable.name == "back\\slash"),
        UserTable.select().where(UserTable.name == "100%"),
        UserTable.select().where(SQL("name = %s", ["x"])),
    ],
)
def test_a_value_that_cannot_be_a_safe_literal_is_an_error(query: Any):
    with pytest.raises(TypeError, match="Parameter"):
        sql_of(query)


def test_a_statement_returns_rows_and_a_command_the_affected_row_count():
    values = Statement(
        "SELECT 'n' || n, n * %(factor)s FROM generate_series(1, 3) AS n", NameAndPrice._make
    )
    update = Command(UserTable.update(name=Parameter("name")))

    @autocommit
    def run() -> tuple[Any, ...]:
        none = Statement("SELECT 1 WHERE false", NameAndPrice._make)
        return values.all(factor=2), values.one(factor=3), none.one(), update.execute(name="x")

    every, first, nothing, updated = run()

    assert every == [("n1", 2), ("n2", 4), ("n3", 6)]
    assert isinstance(every[0], NameAndPrice)
    assert first == NameAndPrice("n1", 3)
    assert nothing is None
    assert updated == 0


def test_parameters_are_never_interpreted_as_sql():
    echo = Statement("SELECT %(text)s, %(id)s::uuid", tuple)

    @autocommit
    def run(text: str) -> Any:
        return echo.one(text=text, id=SOME_ID)

    for text in ("'; DROP TABLE users; --", "%s %(id)s", "\\'", '"'):
        assert run(text) == (text, SOME_ID)


def test_postgresql_can_plan_every_named_query():
    """EXPLAIN checks the tables, columns and types of a statement without running it."""
    queries = dict(named_queries())

    @autocommit
    def explain(text: str) -> None:
        for name in set(_parameter_names(text)):
            text = text.replace(f"%({name})s", "NULL")
        database.execute_sql(f"EXPLAIN {text}")

    for text in queries.values():
        explain(text)
    assert len(queries) > 40


def named_queries() -> Iterator[tuple[str, str]]:
    """Yield the name and the SQL of every named query in every module of `models`."""
    for module_info in pkgutil.walk_packages(models.__path__, "models."):
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            members = value.values() if isinstance(value, Mapping) else [value]
            for number, member in enumerate(members):
                label = f"{module.__name__}.{name} {number}"
                if isinstance(member, Statement | Command):
                    yield label, member.sql
                elif isinstance(member, Listing):
                    for variant, text in listing_queries(member):
                        yield f"{label} {variant}", text


def listing_queries(listing: Listing[Any]) -> Iterator[tuple[str, str]]:
    """Yield the variants of a listing's query, with the SQL of each.

    The variants are the combinations of each sort key, ascending and descending; the first page and
    later pages; and no filter, all filters, or all filters and one that takes several values.

    A `SearchListing` has more statements for a variant with filters. `sample` counts the matches in
    the next rows of the sort index. `nearby_page` finds a page in more of these rows. For each
    search index, `match_count` counts the matches and `seek_page` fetches and sorts them.
    """
    filters = frozenset(listing._filters)
    filter_sets = [frozenset[str](), filters, *(filters | {name} for name in listing._any_of)]
    for sort, direction, later_page in itertools.product(listing._sorts, ("", "-"), (False, True)):
        for number, filter_set in enumerate(filter_sets):
            variant = QueryVariant(direction + sort, filter_set, later_page)
            label = f"{direction}{sort} {later_page} {number}"
            yield label, listing.statement(variant).sql
            if isinstance(listing, SearchListing) and filter_set:
                yield f"{label} sample", listing.sample(variant).sql
                yield f"{label} nearby page", listing.nearby_page(variant).sql
                for index, seek in enumerate(listing._seeks):
                    yield f"{label} count {index}", listing.match_count(seek, filter_set).sql
                    yield f"{label} seek {index}", listing.seek_page(seek, variant).sql


def test_a_percent_sign_in_sql_is_an_error():
    with pytest.raises(TypeError, match="Parameter"):
        Statement("SELECT 5 % 2", tuple)


@pytest.mark.parametrize("session", [True, False])
def test_a_query_is_prepared_once_on_a_connection_that_keeps_its_database_session(
    database_url: str, session: bool
):
    """A pooler in transaction mode drops startup options and keeps no database session."""
    if not session:
        # Empty `options=` simulates the pooler: the startup options are not applied, from which the
        # connection concludes that it keeps no database session.
        separator = "&" if "?" in database_url else "?"
        binding.bind(f"{database_url}{separator}options=")
    prepared = Statement("SELECT %(number)s::integer * 2", tuple)
    not_prepared = Statement("SELECT %(number)s::integer * 3", tuple, prepared=False)

    @autocommit
    def run() -> list[Any]:
        for number in range(3):
            assert prepared.one(number=number) == (number * 2,)
            assert not_prepared.one(number=number) == (number * 3,)
        return database.execute_sql(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
            " WHERE position('* 2' IN statement) > 0 OR position('* 3' IN statement) > 0"
        ).fetchall()

    assert run() == ([(3, 0)] if session else [])


def test_long_names_of_prepared_queries_stay_different(shop: str) -> None:
    del shop
    name = "a name that is longer than PostgreSQL allows for identifiers, which are cut off: "
    first, second = (
        Statement(f"SELECT {number}", lambda columns: columns[0], name=f"{name}{number}")
        for number in (1, 2)
    )

    @autocommit
    def run() -> list[int | None]:
        return [first.one(), second.one(), first.one()]

    assert [1, 2, 1] == run()


def test_a_prepared_query_is_retried_after_a_column_changed_its_type(sql: Any):
    sql("CREATE TABLE changing AS SELECT 1 AS n")
    read = Statement("SELECT n FROM changing", tuple)
    in_autocommit, in_transaction = autocommit(read.one), transaction(read.one)

    # The barrier makes four calls overlap, so that four connections prepare the statement. All of
    # them are then outdated.
    barrier = threading.Barrier(4)

    @autocommit
    def hold() -> Any:
        barrier.wait()
        return read.one()

    assert run_concurrently(*[hold] * 4) == [(1,)] * 4
    for column_type, call in (("bigint", in_autocommit), ("text", in_transaction)):
        sql(f"ALTER TABLE changing ALTER n TYPE {column_type}")
        assert call() in {(1,), ("1",)}
    sql("DROP TABLE changing")


def _parameter_names(text: str) -> list[str]:
    return [part.partition(")")[0] for part in text.split("%(")[1:]]
