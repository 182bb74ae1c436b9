"""Applying migrations: once each, in sequence, with concurrent starts, failures and locks."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from playhouse.migrations import MigrationError

from database import binding, migrations
from database.migrations import MigrationChanged
from domain.errors import Unavailable

NAMES = sorted(path.stem for path in migrations.DIRECTORY.glob("[0-9]*.py"))

CREATE_HELLO = """
def up(migrator, db):
    db.execute_sql("CREATE TABLE hello (id integer NOT NULL)")


def down(migrator, db):
    db.execute_sql("DROP TABLE hello")
"""


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[str]:
    binding.bind(empty_database_url, max_connections=4)
    yield empty_database_url
    binding.close()


def run(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(sql, values or None)
    rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def test_each_migration_is_applied_once_and_in_sequence(empty: str):
    reported: list[str] = []

    assert migrations.pending() == NAMES
    assert migrations.apply(reported.append) == NAMES == reported
    assert migrations.pending() == []
    assert migrations.apply(reported.append) == []
    assert reported == NAMES


def test_all_migrations_can_be_reverted_and_applied_again(empty: str):
    migrations.apply()

    assert [migrations.revert() for _ in NAMES] == [[name] for name in reversed(NAMES)]
    assert run(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [
        ("schema_migration",)
    ]
    assert migrations.apply() == NAMES


def test_a_migration_keeps_existing_data(empty: str, tmp_path: Path):
    """A later migration runs on tables that already contain rows, as in production."""
    migrations.apply()
    run(
        empty,
        "INSERT INTO users VALUES (gen_random_uuid(), 'a@example.com', 'A', 'x', 'CLIENT', true,"
        " now(), now())",
    )
    for path in migrations.DIRECTORY.glob("[0-9]*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "9998_phone.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql(\"ALTER TABLE users ADD phone text NOT NULL DEFAULT ''\")\n"
    )

    assert migrations.apply(directory=tmp_path) == ["9998_phone"]
    assert run(empty, "SELECT email, phone FROM users") == [("a@example.com", "")]


def test_what_names_a_person_is_moved_out_of_the_security_log(empty: str, tmp_path: Path):
    for path in migrations.DIRECTORY.glob("[0-9]*.py"):
        if path.stem < "0016":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    migrations.apply(directory=tmp_path)
    user_id = "019a48c8-a3a0-7b1e-8f40-5c1d2e3f4a5b"
    run(
        empty,
        "INSERT INTO users VALUES (%s, 'a@example.com', 'A', 'x', 'CLIENT', true, now(), now())",
        user_id,
    )
    run(
        empty,
        "INSERT INTO security_event"
        " (id, type, user_id, address, user_agent, request_id, created_at)"
        " VALUES (gen_random_uuid(), 'SIGN_IN_FAILED', %s, '203.0.113.7', 'Firefox', 'r', now())",
        user_id,
    )

    migrations.apply()

    assert run(empty, "SELECT address, user_agent FROM security_event") == [("", "")]
    assert run(
        empty,
        "SELECT source.user_id::text, source.address, source.user_agent"
        " FROM security_event_source AS source JOIN security_event AS event ON event_id = event.id",
    ) == [(user_id, "203.0.113.7", "Firefox")]


def test_what_names_a_person_is_moved_out_of_the_order_events(empty: str):
    migrations.apply(last="0021_verify_before_sign_in")
    run(
        empty,
        "SET session_replication_role = replica;"  # without the order and the payment
        "INSERT INTO order_event (id, order_id, type, from_status, to_status, actor_kind,"
        " actor_user_id, request_id, created_at, reason) VALUES"
        " (gen_random_uuid(), gen_random_uuid(), 'STATUS_CHANGED', 'PENDING', 'PAID', 'PERSON',"
        " gen_random_uuid(), 'r', now(), 'Ada called.'),"
        " (gen_random_uuid(), gen_random_uuid(), 'STATUS_CHANGED', 'PENDING', 'PAID', 'PERSON',"
        " gen_random_uuid(), 'r', now(), NULL);"
        "INSERT INTO payment_notification (id, provider, event_id, type, body, outcome,"
        " next_check_at, created_at) VALUES"
        " (gen_random_uuid(), 'stripe', '1', 'unused', 'Ada', 'IGNORED', NULL, now()),"
        " (gen_random_uuid(), 'stripe', '2', 'given up', 'Ada', 'UNMATCHED', NULL, now()),"
        " (gen_random_uuid(), 'stripe', '3', 'waiting', 'Ada', 'UNMATCHED', now(), now()),"
        " (gen_random_uuid(), 'stripe', '4', 'applied', 'Ada', 'APPLIED', NULL, now())",
    )
    reasons = "SELECT reason FROM order_event WHERE reason IS NOT NULL"

    migrations.apply(last="0022_deleted_users")

    assert run(empty, reasons) == []
    assert run(
        empty,
        "SELECT moved.reason FROM order_event_reason AS moved JOIN order_event ON id = event_id",
    ) == [("Ada called.",)]
    bodies = run(empty, "SELECT type, body <> '' FROM payment_notification ORDER BY event_id")
    assert [("unused", False), ("given up", False), ("waiting", True), ("applied", True)] == bodies

    assert migrations.revert() == ["0022_deleted_users"]
    assert run(empty, reasons) == [("Ada called.",)]


def test_concurrent_threads_apply_each_migration_once(empty: str):
    with ThreadPoolExecutor(6) as executor:
        runs = [executor.submit(migrations.apply) for _ in range(6)]

    assert sorted(run.result() for run in runs) == [*[[]] * 5, NAMES]


def _apply(url: str, results: Any) -> None:
    binding.bind(url)
    results.put(migrations.apply())


def test_concurrent_processes_apply_each_migration_once(empty_database_url: str):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_apply, args=(empty_database_url, results)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    applied = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)

    assert sorted(applied) == [[], [], [], NAMES]


def test_an_edited_migration_is_an_error_that_names_it(empty: str, tmp_path: Path):
    path = tmp_path / "0001_hello.py"
    path.write_text(CREATE_HELLO)
    migrations.apply(directory=tmp_path)
    path.write_bytes(
        CREATE_HELLO.encode().replace(b"\n", b"\r\n")
    )  # as git checks it out on Windows
    assert migrations.apply(directory=tmp_path) == []

    path.write_text(CREATE_HELLO.replace("integer", "bigint"))

    with pytest.raises(MigrationChanged, match="0001_hello was edited"):
        migrations.apply(directory=tmp_path)


def test_migrations_applied_by_a_newer_version_are_ignored(empty: str, tmp_path: Path):
    (tmp_path / "0001_hello.py").write_text(CREATE_HELLO)
    migrations.apply(directory=tmp_path)
    (tmp_path / "0001_hello.py").unlink()

    assert migrations.apply(directory=tmp_path) == []


def test_a_failed_migration_is_rolled_back_and_later_migrations_are_not_applied(
    empty: str, tmp_path: Path
):
    (tmp_path / "0001_hello.py").write_text(CREATE_HELLO)
    (tmp_path / "0002_fails.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (id integer)')\n"
        "    db.execute_sql('nonsense')\n"
    )
    (tmp_path / "0003_last.py").write_text(CREATE_HELLO.replace("hello", "last"))

    with pytest.raises(Exception, match="nonsense"):
        migrations.apply(directory=tmp_path)

    assert migrations.pending(directory=tmp_path) == ["0002_fails", "0003_last"]
    assert run(empty, "SELECT to_regclass('half'), to_regclass('hello')") == [(None, "hello")]


def test_an_index_can_be_created_concurrently_while_other_processes_wait(
    empty: str, tmp_path: Path
):
    """CREATE INDEX CONCURRENTLY waits for open transactions, so a waiting process has none."""
    (tmp_path / "0001_hello.py").write_text(CREATE_HELLO)
    (tmp_path / "0002_index.py").write_text(
        "import time\n"
        "atomic = False\n"
        "def up(migrator, db):\n"
        "    time.sleep(0.3)\n"
        "    db.execute_sql('CREATE INDEX CONCURRENTLY ix_hello ON hello (id)')\n"
    )
    with ThreadPoolExecutor(3) as executor:
        runs = [executor.submit(migrations.apply, directory=tmp_path) for _ in range(3)]

    assert sorted(run.result() for run in runs) == [[], [], ["0001_hello", "0002_index"]]
    assert run(
        empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_hello'::regclass"
    ) == [(True,)]


def test_a_migration_fails_after_the_lock_timeout(empty: str, tmp_path: Path):
    (tmp_path / "0001_hello.py").write_text(CREATE_HELLO)
    migrations.apply(directory=tmp_path)
    (tmp_path / "0002_change.py").write_text(
        "def up(migrator, db):\n    db.execute_sql('ALTER TABLE hello ADD n integer')\n"
    )
    reading = psycopg2.connect(empty)
    reading.cursor().execute("SELECT FROM hello")

    with pytest.raises(Unavailable):
        migrations.apply(directory=tmp_path, lock_timeout=0.2)

    reading.close()
    assert migrations.apply(directory=tmp_path, lock_timeout=2) == ["0002_change"]


def test_waiting_for_another_migrating_process_has_a_timeout(empty: str, tmp_path: Path):
    (tmp_path / "0001_slow.py").write_text(
        "import time\ndef up(migrator, db):\n    time.sleep(1)\n"
    )
    first = threading.Thread(target=lambda: migrations.apply(directory=tmp_path))
    first.start()
    time.sleep(0.3)

    with pytest.raises(Unavailable):
        migrations.apply(directory=tmp_path, wait_seconds=0.2)
    first.join()


def test_an_unreachable_database_raises_unavailable():
    binding.bind("postgresql://orderly@127.0.0.1:1/orderly")

    with pytest.raises(Unavailable):
        migrations.apply()
    with pytest.raises(Unavailable):
        migrations.pending()
    binding.close()


def test_every_migration_has_a_docstring_and_can_be_reverted():
    assert NAMES[0].startswith("0001_")
    assert len({name[:4] for name in NAMES}) == len(NAMES)
    for path in migrations.DIRECTORY.glob("[0-9]*.py"):
        assert path.read_text().startswith('"""')
        assert "def down(" in path.read_text()


def test_a_migration_without_an_up_function_is_an_error(empty: str, tmp_path: Path):
    (tmp_path / "0001_nothing.py").write_text("")

    with pytest.raises(MigrationError, match="does not define up"):
        migrations.apply(directory=tmp_path)
