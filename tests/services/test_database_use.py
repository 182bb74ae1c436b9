"""What a request or job costs in the database, and the names of its statements in PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
import structlog

import models
from database import binding
from database.greenlets import GreenletRunner
from database.listing import Listing, QueryVariant
from database.statement import Command, Statement
from database.transactions import autocommit, transaction
from database.use import DatabaseUse, current_use, measure
from domain.errors import Unavailable
from models import product
from orderly.http import logging
from tests.support.database import Sql

SLEEP = Statement("SELECT pg_sleep(%(seconds)s), %(secret)s::text", tuple)
CURRENT_QUERY = Statement(
    "SELECT query, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()", tuple
)


@pytest.fixture
def use() -> Iterator[DatabaseUse]:
    yield measure("test_operation")
    current_use.set(None)


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    logging.configure("info", "json", stream)
    yield stream
    structlog.reset_defaults()


def events(log: io.BytesIO) -> list[dict[str, Any]]:
    logging.flush()
    return [json.loads(line) for line in log.getvalue().splitlines()]


@autocommit
def run_twice() -> None:
    SLEEP.one(seconds=0.02, secret="x")
    SLEEP.one(seconds=0.02, secret="x")


def test_each_statement_is_a_round_trip_and_so_are_prepare_begin_and_commit(
    use: DatabaseUse,
) -> None:
    autocommit(lambda: None)()  # opens a connection
    before = use.round_trips

    run_twice()
    prepared = use.round_trips - before
    run_twice()
    again = use.round_trips - before - prepared
    transaction(run_twice)()
    in_transaction = use.round_trips - before - prepared - again

    assert (3, 2, 4) == (prepared, again, in_transaction)
    # Half of the time that PostgreSQL sleeps: the wait is measured after the statement was sent.
    assert 0.06 <= use.seconds < 5


def test_each_greenlet_and_thread_measures_its_own_request() -> None:
    async def request(count: int) -> DatabaseUse:
        use = measure(f"operation_{count}")

        def handler() -> None:
            for _ in range(count):
                run_twice()

        await runner.run(handler)
        return use

    async def run() -> list[DatabaseUse]:
        uses = await asyncio.gather(*map(request, range(4)))
        await runner.close()
        return uses

    run_twice()
    with ThreadPoolExecutor(4) as threads:
        runner = GreenletRunner(threads)
        uses = asyncio.run(run())

    assert [f"operation_{count}" for count in range(4)] == [use.operation for use in uses]
    # At least: some connections are new, and prepare the statement first.
    assert all(use.round_trips >= 2 * count for count, use in enumerate(uses))
    assert 0 == uses[0].round_trips
    # Half of the time that PostgreSQL sleeps: the wait is measured after the statement was sent.
    assert all(use.seconds >= 0.02 * count for count, use in enumerate(uses))


def test_postgresql_shows_the_process_the_operation_and_the_statement(
    use: DatabaseUse, runtime_url: str
) -> None:
    binding.bind(runtime_url, program="orderly server")

    query, application_name = autocommit(CURRENT_QUERY.one)()

    assert '/*test_operation*/ EXECUTE "test_database_use.CURRENT_QUERY"' == query
    assert f"orderly server {os.getpid()}" == application_name


def test_outside_of_requests_and_jobs_statements_have_no_comment() -> None:
    assert 'EXECUTE "test_database_use.CURRENT_QUERY"' == autocommit(CURRENT_QUERY.one)()[0]


def test_a_slow_statement_is_logged_by_its_name_without_parameters(
    use: DatabaseUse, runtime_url: str, log: io.BytesIO
) -> None:
    binding.bind(runtime_url, slow_seconds=0.05)

    @autocommit
    def run() -> None:
        SLEEP.one(seconds=0, secret="hunter2")
        SLEEP.one(seconds=0.06, secret="hunter2")

    run()

    (event,) = events(log)
    assert ("warning", "slow_statement", "test_database_use.SLEEP") == (
        event["level"],
        event["event"],
        event["statement"],
    )
    assert 60 <= event["duration_ms"] < 5000
    assert b"hunter2" not in log.getvalue()


def test_a_slow_statement_that_fails_is_logged_with_its_sqlstate(
    runtime_url: str, log: io.BytesIO, sql: Sql
) -> None:
    binding.bind(runtime_url, slow_seconds=0.05, statement_timeout=0.1)

    with pytest.raises(Unavailable):
        autocommit(SLEEP.one)(seconds=5, secret="x")

    (event,) = events(log)
    assert "57014" == event["sqlstate"]


def test_every_named_query_has_a_unique_name_that_fits_into_a_prepared_statement() -> None:
    names = []
    for module_info in pkgutil.walk_packages(models.__path__, "models."):
        module = import_module(module_info.name)
        for variable, value in vars(module).items():
            if isinstance(value, Statement | Command) and value._module_globals is vars(module):
                assert f"{module_info.name.removeprefix('models.')}.{variable}" == value.name
                names.append(value.name)

    assert len(names) > 40
    assert len(names) == len(set(names))
    assert all(len(name) < 64 for name in names)  # PostgreSQL truncates longer names


def test_the_statements_of_a_list_are_named_by_their_sort_key_and_filters() -> None:
    listing = next(value for value in vars(product).values() if isinstance(value, Listing))
    variant = QueryVariant("-price", frozenset({"words", "min_price"}), True)

    assert (
        listing.statement(variant).name
        == f"{listing.name} sort=-price filters=min_price,words next"
    )
    assert listing.name.startswith("product.")
