"""The role that serves requests can neither change logs and ledgers nor the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2 import errors

from orderly.embedded import running_runtime_url
from tests.support.embedded_postgresql import run_statement
from tests.support.processes import Server, run_orderly, run_server

REFUSED = [
    "DELETE FROM security_event",
    "UPDATE security_event SET type = 'SIGNED_IN'",
    "TRUNCATE security_event",
    "UPDATE security_event_source SET address = ''",
    "TRUNCATE security_event_source",
    "DELETE FROM order_event",
    "UPDATE order_event SET reason = 'nothing'",
    "DELETE FROM stock_movement",
    "UPDATE stock_movement SET delta = 0",
    "DELETE FROM order_item",
    "DELETE FROM orders",
    "DELETE FROM users",
    "DELETE FROM schema_migration",
    "CREATE TABLE extra (id int)",
    "CREATE TEMPORARY TABLE extra (id int)",
    "ALTER TABLE users ADD COLUMN extra int",
    "ALTER TABLE security_event DISABLE TRIGGER ALL",
    "DROP TABLE security_event",
    "CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE extra SUPERUSER",
    "CREATE DATABASE extra",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY users (name) FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "ALTER SYSTEM SET log_statement = 'all'",
]
OWNER, RUNTIME, PASSWORD = "shop_owner", "shop_runtime", "secret"


def refused(url: str) -> list[str]:
    """Try each statement in a transaction of its own; return those that lack a privilege."""
    found = []
    for statement in REFUSED:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            # CREATE DATABASE and ALTER SYSTEM cannot be run in a transaction.
            connection.autocommit = statement.startswith(("CREATE DATABASE", "ALTER SYSTEM"))
            try:
                cursor.execute(statement)
            except errors.InsufficientPrivilege:
                found.append(statement)
    return found


class OwnDatabase(NamedTuple):
    """A database on a PostgreSQL server with two roles, as docs/how-to/deploy.md creates them."""

    owner_url: str
    runtime_url: str


@pytest.fixture
def own_database(
    postgresql: str, new_database: Callable[[str | None], str]
) -> Iterator[OwnDatabase]:
    """Create a database and its two roles; drop them afterwards."""
    url = new_database(None)
    name = urlsplit(url).path.strip("/")
    for role in (OWNER, RUNTIME):
        run_statement(postgresql, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    run_statement(postgresql, f"ALTER DATABASE {name} OWNER TO {OWNER}")
    owner_url, runtime_url = (
        urlsplit(url)._replace(netloc=f"{role}:{PASSWORD}@").geturl() for role in (OWNER, RUNTIME)
    )
    yield OwnDatabase(owner_url, runtime_url)
    run_statement(postgresql, f"DROP DATABASE {name} WITH (FORCE)")
    for role in (OWNER, RUNTIME):
        run_statement(postgresql, f"DROP ROLE {role}")


def warnings(server: Server) -> list[str]:
    return [event["event"] for event in server.log if event["level"] == "warning"]


def test_the_embedded_database_has_a_role_that_is_refused_all_of_this(tmp_path: Path) -> None:
    with run_server(tmp_path / "data", "--demo") as server:
        url = running_runtime_url(tmp_path / "data")
        assert url
        # PostgreSQL only warns that nothing was granted.
        run_statement(url, "GRANT ALL ON security_event TO CURRENT_USER")
        assert REFUSED == refused(url)
        assert [] == warnings(server)


def test_the_processes_of_a_server_do_not_know_the_owner_s_password(tmp_path: Path) -> None:
    with run_server(tmp_path / "data", ORDERLY_WORKERS="2") as server:
        password = (tmp_path / "data" / "postgresql-password").read_bytes()
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        environments = [
            Path(f"/proc/{pid}/environ").read_bytes() for pid in children.read_text().split()
        ]
        assert len(environments) > 2
        assert not any(password in environment for environment in environments)


def test_on_an_own_server_the_owner_migrates_and_the_other_role_serves(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    runtime = {"ORDERLY_DATABASE_URL": own_database.runtime_url, "ORDERLY_SIGNING_KEY": "k" * 32}

    def run(*arguments: str, **variables: str) -> str:
        completed = run_orderly(*arguments, directory=tmp_path, **runtime, **variables)
        assert 0 == completed.returncode, completed.stderr
        return completed.stdout

    assert "applied 0001" in run("migrate", ORDERLY_DATABASE_OWNER_URL=own_database.owner_url)
    assert REFUSED == refused(own_database.runtime_url)
    # All other commands work with the runtime role alone.
    assert "up to date" in run("migrate")
    run("create-admin", "a@example.com", "--name=A", ORDERLY_ADMIN_PASSWORD="blackberry strudel")
    (tmp_path / "products.csv").write_text("sku,name,price,stock\nMUG,Mug,18.50,7\n")
    run("import-products", "products.csv")
    assert "MUG" in run("export-products")
    assert "All checks passed." in run("audit")
    with run_server(tmp_path / "data", **runtime) as server:
        assert 200 == server.get("/health/ready").status_code
        assert [] == warnings(server)


def test_without_the_owner_pending_migrations_are_an_error_that_says_what_to_do(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    completed = run_orderly(
        "migrate", directory=tmp_path, ORDERLY_DATABASE_URL=own_database.runtime_url
    )

    assert 1 == completed.returncode
    assert "ORDERLY_DATABASE_OWNER_URL" in completed.stderr
    assert 1 == len(completed.stderr.splitlines())


def test_a_server_whose_role_owns_the_tables_warns_once(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    variables = {"ORDERLY_DATABASE_URL": own_database.owner_url, "ORDERLY_SIGNING_KEY": "k" * 32}
    with run_server(tmp_path / "data", ORDERLY_WORKERS="2", **variables) as server:
        assert ["security_log_not_protected"] == warnings(server)


def test_privileges_that_were_changed_by_hand_are_restored(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    variables = {
        "ORDERLY_DATABASE_URL": own_database.runtime_url,
        "ORDERLY_DATABASE_OWNER_URL": own_database.owner_url,
    }
    run_orderly("migrate", directory=tmp_path, **variables)
    run_statement(own_database.owner_url, f"GRANT DELETE ON order_event, users TO {RUNTIME}")
    run_statement(own_database.owner_url, f"REVOKE INSERT ON users FROM {RUNTIME}")

    assert 0 == run_orderly("migrate", directory=tmp_path, **variables).returncode

    assert REFUSED == refused(own_database.runtime_url)
    granted = "SELECT has_table_privilege('users', 'INSERT')"
    assert [(True,)] == run_statement(own_database.runtime_url, granted)
