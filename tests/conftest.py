"""A real PostgreSQL for every test that asks: one server a run, migrated once, emptied between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2 import sql

from database import binding, migrations
from orderly.embedded import EmbeddedPostgreSQL
from services import process
from services.configuration import Configuration

# What is not about limits shall not meet them.
UNLIMITED = {
    "sign_in_limit": 100_000,
    "registration_limit": 100_000,
    "refresh_limit": 100_000,
    "password_change_limit": 100_000,
}

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server's maintenance database."""
    directory = tmp_path_factory.mktemp("postgresql")
    with EmbeddedPostgreSQL(directory, fsync=False) as url:
        yield _with_database(url, "postgres")


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Callable[[str | None], str]:
    """Return a function that makes a database, empty or a copy, and returns its URL."""

    def make(template: str | None = None) -> str:
        name = f"test_{next(_numbers)}"
        _run(
            postgresql,
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name),
                sql.Identifier(template or "template0"),
            ),
        )
        return _with_database(postgresql, name)

    return make


@pytest.fixture(scope="session")
def migrated_template(new_database: Callable[[str | None], str]) -> str:
    """Return the name of a database to which the migrations have been applied."""
    url = new_database(None)
    binding.bind(url, max_connections=1)
    migrations.apply()
    binding.close()
    return urlsplit(url).path.strip("/")


@pytest.fixture(scope="session")
def database_url(migrated_template: str, new_database: Callable[[str | None], str]) -> str:
    """Return the URL of the database that this run's tests share, each finding it empty."""
    return new_database(migrated_template)


@pytest.fixture
def empty_database_url(new_database: Callable[[str | None], str]) -> str:
    """Return the URL of a database without any table."""
    return new_database(None)


@pytest.fixture
def shop(database_url: str) -> Iterator[str]:
    """Bind the models to the shared database and leave it empty; return its URL."""
    binding.bind(database_url, max_connections=70)
    process.bind(
        Configuration(
            signing_key=b"a signing key for tests, 32 bytes long",
            argon2_time_cost=1,
            argon2_memory_kib=8,
            **UNLIMITED,
        )
    )
    yield database_url
    binding.close()


@pytest.fixture(autouse=True)
def _empty_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the shared database after each test that used it."""
    yield
    if "database_url" in request.fixturenames:
        _empty(request.getfixturevalue("database_url"))


def _empty(url: str) -> None:
    tables = _run(
        url,
        sql.SQL(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename NOT LIKE 'schema\\_migration%'"
        ),
    )
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in tables)
    _run(url, sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))


def _run(url: str, statement: sql.Composable) -> list[tuple[str, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return Path(__file__).parent.parent
