"""Fixtures for all tests: a PostgreSQL server, a migrated database, an HTTP server and clients.

The PostgreSQL server is real. It starts once for each pytest process, the migrations are applied
once, and all tables are emptied after each test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from httpx2 import Client
from psycopg2.sql import SQL, Composable, Identifier, Literal

from database import binding
from orderly.embedded import EmbeddedPostgreSQL
from services import process, schema, users
from services.configuration import Configuration
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.database import Sql
from tests.support.processes import ROOT, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, NO_RATE_LIMITS, SIGNING_KEY

_database_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server; return the URL of its maintenance database."""
    directory = tmp_path_factory.mktemp("postgresql")
    with EmbeddedPostgreSQL(directory, fsync=False) as url:
        yield _with_database(url, "postgres")


@pytest.fixture(scope="session")
def runtime_role(postgresql: str) -> tuple[str, str]:
    """Create the role with which services and servers run in tests; return its name and password.

    It is created here, since the server's own one has a password that only the server knows.
    """
    name, password = "runtime", "runtime-password"
    _run(
        postgresql,
        SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(password)),
    )
    return name, password


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Callable[[str | None], str]:
    """Return a function that creates a database, empty or from a template, and returns its URL."""

    def create(template: str | None = None) -> str:
        name = f"test_{next(_database_numbers)}"
        _run(
            postgresql,
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                Identifier(name),
                Identifier(template or "template0"),
            ),
        )
        return _with_database(postgresql, name)

    return create


@pytest.fixture(scope="session")
def migrated_template(
    new_database: Callable[[str | None], str], runtime_role: tuple[str, str]
) -> str:
    """Return the name of a database to which all migrations have been applied."""
    url = new_database(None)
    binding.bind(_with_role(url, runtime_role), max_connections=1)
    schema.migrate(owner_url=url)
    binding.close()
    return urlsplit(url).path.strip("/")


@pytest.fixture(scope="session")
def database_url(migrated_template: str, new_database: Callable[[str | None], str]) -> str:
    """Return the owner's URL of the migrated, empty database that the tests share."""
    return new_database(migrated_template)


@pytest.fixture(scope="session")
def runtime_url(database_url: str, runtime_role: tuple[str, str]) -> str:
    """Return the URL of the same database with the role of services and servers."""
    return _with_role(database_url, runtime_role)


@pytest.fixture
def empty_database_url(new_database: Callable[[str | None], str]) -> str:
    """Return the URL of a database without any table."""
    return new_database(None)


@pytest.fixture
def shop(database_url: str, runtime_url: str) -> Iterator[str]:
    """Set up this process to call services on the shared database; return the owner's URL."""
    # More than any test uses concurrently. The pool opens a connection only when it needs one.
    binding.bind(runtime_url, max_connections=70)
    process.bind(
        Configuration(
            signing_key=SIGNING_KEY.encode(),
            argon2_time_cost=1,
            argon2_memory_kib=8,
            **NO_RATE_LIMITS,
        )
    )
    yield database_url
    binding.close()


@pytest.fixture
def sql(database_url: str) -> Iterator[Sql]:
    """Return a function that runs a statement on its own connection, past the services."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True

    def run(text: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []

    yield run
    connection.close()


@pytest.fixture(autouse=True)
def _empty_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the shared database after each test that used it."""
    yield
    if "database_url" in request.fixturenames:
        _empty(request.getfixturevalue("database_url"))


def _empty(url: str) -> None:
    """Delete all rows.

    TRUNCATE takes longer: it creates new files for each table and index. Without triggers and
    foreign keys the tables can be emptied in any order.
    """
    tables = _run(
        url,
        SQL(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename NOT LIKE 'schema\\_migration%'"
        ),
    )
    delete = SQL("; ").join(SQL("DELETE FROM {}").format(Identifier(name)) for (name,) in tables)
    _run(url, SQL("SET session_replication_role = replica; {}").format(delete))


def _run(url: str, statement: Composable) -> list[tuple[str, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _with_role(url: str, role: tuple[str, str]) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role[0]}:{role[1]}@").geturl()


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def base_url(runtime_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server on the shared database, with response validation on; return its URL."""
    with run_server(
        tmp_path_factory.mktemp("server") / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_ACCESS_TOKEN_MINUTES="120",  # `tox -e deep` signs in once, and takes longer than 10
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_STOREFRONT="true",
        ORDERLY_ADMIN_PAGE="true",
        ORDERLY_CATALOGUE_CACHE_SECONDS="0",  # a test empties the tables
        ORDERLY_MANUAL_PAYMENT_EXPIRY_MINUTES="10080",
        ORDERLY_WORKER="false",  # tests run the background jobs that they need
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


@pytest.fixture
def anonymous(base_url: str) -> Iterator[Client]:
    """Return a client that is not signed in."""
    with Client(base_url=base_url) as client:
        yield client


@pytest.fixture
def sign_in(base_url: str) -> Iterator[Callable[[str, str], Client]]:
    """Return a function that returns a client with session cookies, as a browser has them."""
    clients = []

    def signed_in_client(email: str, password: str) -> Client:
        client = Client(base_url=base_url)
        clients.append(client)
        response = client.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert response.status_code == 200, response.text
        return client

    yield signed_in_client
    for client in clients:
        client.close()


@pytest.fixture
def new_client(anonymous: Client, sign_in: Callable[[str, str], Client]) -> Callable[[str], Client]:
    """Return a function that registers a customer and returns a client signed in as that user."""

    def registered_client(name: str) -> Client:
        body = {"email": f"{name}@example.com", "name": name.title(), "password": PASSWORD}
        assert anonymous.post("/api/v1/auth/register", json=body).status_code == 201
        return sign_in(body["email"], PASSWORD)

    return registered_client


@pytest.fixture
def alice(new_client: Callable[[str], Client]) -> Client:
    """Return a client that is signed in as a customer."""
    return new_client("alice")


@pytest.fixture
def bob(new_client: Callable[[str], Client]) -> Client:
    """Return a client that is signed in as another customer."""
    return new_client("bob")


@pytest.fixture
def admin(shop: str, sign_in: Callable[[str, str], Client]) -> Client:
    """Return a client signed in as an administrator.

    The API cannot create the first administrator, so call the same service as the command line.
    """
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    return sign_in(email, password)
