"""The connection pool and the transaction decorators: timeouts, lost connections and retries."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peewee
import psycopg2
import pytest
from psycopg2 import errors

from database import binding
from database.binding import database
from database.connection import Connector
from database.pool import ConnectionPool, PoolExhausted
from database.statement import Statement
from database.transactions import (
    autocommit,
    autocommit_without_retry,
    transaction,
    transaction_without_timeout,
)
from domain.errors import EmailTaken, Unavailable
from orderly.embedded import EmbeddedPostgreSQL
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql, autocommit_scalar, backend_pid, scalar, unresponsive_server


@pytest.fixture(autouse=True)
def _as_owner(as_owner: None) -> None:
    """Use the owner's role: tests create tables of their own."""
    del as_owner


@pytest.fixture
def short_timeouts(database_url: str) -> Iterator[None]:
    """Bind a pool of two connections with short timeouts."""
    binding.bind(
        database_url,
        max_connections=2,
        checkout_timeout=0.2,
        connect_timeout=1,
        statement_timeout=0.5,
        lock_timeout=0.2,
    )
    yield
    binding.close()


def test_consecutive_calls_use_the_same_connection():
    assert backend_pid() == backend_pid() == backend_pid()


def test_a_nested_call_joins_the_connection_and_the_transaction():
    @transaction
    def outer() -> tuple[int, int, bool]:
        return scalar("SELECT pg_backend_pid()"), backend_pid(), inner()

    @transaction
    def inner() -> bool:
        return database.transaction_depth() == 1

    first, second, joined = outer()

    assert first == second
    assert joined
    assert database.is_closed()


def test_a_transaction_that_raises_is_rolled_back(sql: Sql):
    @transaction
    def fail() -> None:
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert sql("SELECT 1 FROM schema_migration WHERE name = 'x'") == []
    assert autocommit_scalar() == 1


@pytest.fixture
def tcp_url(tmp_path: Path) -> Iterator[str]:
    """Start a server that listens on TCP; return its URL."""
    # An address of its own, since an embedded server always has port 5432.
    address = f"127.{os.getpid() >> 16}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    options = {"listen_addresses": address}
    with EmbeddedPostgreSQL(tmp_path, fsync=False, options=options) as url:
        yield urlsplit(url)._replace(query=f"host={address}&sslmode=disable").geturl()


def test_times_are_utc_whatever_the_time_zone_of_the_server(database_url: str):
    binding.bind(_with_options(database_url, "-c%20TimeZone%3DAsia%2FKolkata"))

    assert autocommit_scalar("SELECT TIMESTAMPTZ '2026-01-01 12:00:00Z'").isoformat() == (
        "2026-01-01T12:00:00+00:00"
    )


def test_time_limits_are_set_unless_the_url_has_options(database_url: str):
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

    def timeouts() -> list[str]:
        return [autocommit_scalar(f"SHOW {name}") for name in names]

    limits = {"statement_timeout": 7, "lock_timeout": 0.5, "idle_in_transaction_timeout": 6}
    binding.bind(database_url, **limits)
    assert timeouts() == ["7s", "500ms", "6s"]
    binding.bind(_with_options(database_url, ""), **limits)
    assert timeouts() == ["0", "0", "0"]


def test_keepalives_end_a_silent_connection_on_both_sides(tcp_url: str):
    binding.bind(tcp_url, keepalive=30)
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")

    assert ["15", "5", "3"] == [autocommit_scalar(f"SHOW {name}") for name in names]
    assert database.pool is not None
    connection = database.pool.checkout()
    with socket.socket(fileno=os.dup(connection.fileno())) as client:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [15, 5, 3] == [client.getsockopt(socket.IPPROTO_TCP, one) for one in options]
    database.pool.checkin(connection)


def test_a_full_pool_raises_unavailable_after_the_checkout_timeout(short_timeouts: None, sql: Sql):
    all_started, release = threading.Barrier(3), threading.Event()

    @autocommit
    def hold_connection() -> int:
        all_started.wait()
        release.wait()
        return scalar("SELECT pg_backend_pid()")

    def wait_for_connection() -> Any:
        all_started.wait()
        start = time.monotonic()
        try:
            return autocommit_scalar()
        except Unavailable as error:
            return error.__cause__, time.monotonic() - start
        finally:
            release.set()

    first, second, (cause, waited) = run_concurrently(
        hold_connection, hold_connection, wait_for_connection
    )

    assert first != second
    assert isinstance(cause, peewee.OperationalError)
    assert isinstance(cause.orig, PoolExhausted)
    assert 0.15 < waited < 5
    assert autocommit_scalar() == 1


def test_a_waiting_caller_gets_the_next_free_connection(database_url: str):
    binding.bind(database_url, max_connections=2, checkout_timeout=30)

    @autocommit
    def run_slowly() -> int:
        return scalar("SELECT 1 FROM pg_sleep(0.03)")

    assert run_concurrently(*[run_slowly] * 8) == [1] * 8


@pytest.fixture
def few_connections(database_url: str, sql: Sql) -> Iterator[str]:
    """Create a role that may have two connections; return its URL."""
    sql("CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2")
    yield urlsplit(database_url)._replace(netloc="few:few@").geturl()
    binding.close()
    sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'few'")
    sql("DROP ROLE few")


def test_callers_wait_if_the_server_allows_fewer_connections_than_the_pool(few_connections: str):
    binding.bind(few_connections, max_connections=8, checkout_timeout=30)

    @autocommit
    def run_slowly() -> int:
        return scalar("SELECT 1 FROM pg_sleep(0.03)")

    assert [1] * 16 == run_concurrently(*[run_slowly] * 16)


def test_a_caller_waits_for_a_connection_that_another_process_has(few_connections: str):
    binding.bind(few_connections, max_connections=8, checkout_timeout=30)
    others = [psycopg2.connect(few_connections) for _ in range(2)]
    timer = threading.Timer(0.1, others[0].close)
    timer.start()

    assert 1 == autocommit_scalar()
    assert database.pool is not None
    assert (1, 0) == (database.pool.waits, database.pool.timeouts)
    assert database.pool.wait_seconds > 0
    others[1].close()


def test_the_wait_for_a_connection_beyond_the_limit_of_the_server_is_bounded(few_connections: str):
    binding.bind(few_connections, max_connections=8, checkout_timeout=0.1)
    others = [psycopg2.connect(few_connections) for _ in range(2)]

    with pytest.raises(Unavailable):
        autocommit_scalar()
    assert database.pool is not None
    assert (1, 1) == (database.pool.waits, database.pool.timeouts)
    for connection in others:
        connection.close()


def test_an_idle_connection_that_was_terminated_is_replaced(sql: Sql):
    terminated = backend_pid()
    sql("SELECT pg_terminate_backend(%s, 1000)", terminated)

    assert backend_pid() != terminated


def test_a_connection_terminated_during_a_call_raises_unavailable_and_the_next_call_succeeds(
    sql: Sql,
):
    @autocommit
    def lose_connection() -> None:
        sql("SELECT pg_terminate_backend(%s, 1000)", scalar("SELECT pg_backend_pid()"))
        scalar()

    @transaction
    def lose_connection_in_transaction() -> None:
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")
        sql("SELECT pg_terminate_backend(%s, 1000)", scalar("SELECT pg_backend_pid()"))

    for call in (lose_connection, lose_connection_in_transaction):
        with pytest.raises(Unavailable):
            call()
        assert database.is_closed()
        assert autocommit_scalar() == 1
    assert sql("SELECT 1 FROM schema_migration WHERE name = 'x'") == []


def test_calls_succeed_after_all_idle_connections_were_terminated(sql: Sql):
    run_concurrently(*[lambda: autocommit_scalar("SELECT 1 FROM pg_sleep(0.05)")] * 8)
    sql(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
        " WHERE application_name ~ '^orderly [0-9]+$' AND datname = current_database()"
    )

    assert run_concurrently(*[autocommit_scalar] * 8) == [1] * 8


def test_a_statement_timeout_raises_unavailable_and_the_connection_stays_usable(
    short_timeouts: None,
):
    pid = backend_pid()
    with pytest.raises(Unavailable) as caught:
        autocommit_scalar("SELECT pg_sleep(10)")

    assert isinstance(caught.value.__cause__.orig, errors.QueryCanceled)
    assert backend_pid() == pid


def test_transaction_without_timeout_has_no_statement_timeout(short_timeouts: None):
    @transaction_without_timeout
    def run_slowly() -> int:
        return scalar("SELECT 1 FROM pg_sleep(0.8)")

    assert run_slowly() == 1
    with pytest.raises(Unavailable):
        autocommit_scalar("SELECT pg_sleep(10)")


def test_a_lock_timeout_raises_unavailable(short_timeouts: None, admin_row: Any, database_url: str):
    locking = psycopg2.connect(database_url)
    locking.cursor().execute("SELECT FROM users FOR UPDATE")

    with pytest.raises(Unavailable) as caught:
        autocommit_scalar("UPDATE users SET name = 'x' RETURNING 1")

    assert isinstance(caught.value.__cause__.orig, errors.LockNotAvailable)
    locking.close()


def test_connecting_to_an_unresponsive_server_raises_unavailable_after_the_connect_timeout():
    with unresponsive_server() as url:
        binding.bind(url, connect_timeout=0.3)
        start = time.monotonic()
        with pytest.raises(Unavailable):
            autocommit_scalar()

    assert time.monotonic() - start < 5


def test_a_server_that_stops_responding_raises_an_error_after_the_time_limit(database_url: str):
    """PostgreSQL's statement_timeout is off: only the client's time limit ends the wait."""
    connection = Connector(database_url, connect_timeout=5, statement_timeout=0, lock_timeout=0)()
    connection.time_limit = 0.3

    with pytest.raises(psycopg2.OperationalError, match="did not respond within"):
        connection.cursor().execute("SELECT pg_sleep(5)")
    assert connection.closed


def test_a_slow_connect_does_not_block_other_callers(database_url: str):
    """One caller waits for a new connection; the others reuse the existing connection."""
    hanging = threading.Event()
    release = threading.Event()

    open_connection = connector(database_url)

    def connect() -> Any:
        if hanging.is_set():
            release.wait(5)
        return open_connection()

    pool = ConnectionPool(connect, size=3, checkout_timeout=1)
    first = pool.checkout()
    hanging.set()
    waiting = threading.Thread(target=lambda: pool.checkin(pool.checkout()))
    waiting.start()

    for _ in range(3):
        pool.checkin(first)
        first = pool.checkout()

    release.set()
    waiting.join()
    pool.checkin(first)
    pool.close()


def test_a_connection_with_an_open_transaction_is_closed_at_checkin(database_url: str):
    pool = ConnectionPool(connector(database_url), size=1, checkout_timeout=1)
    connection = pool.checkout()
    connection.cursor().execute("BEGIN")
    pool.checkin(connection)

    assert connection.closed
    assert pool.checkout() is not connection


def test_a_connection_is_closed_at_checkin_if_the_pool_is_closed(database_url: str):
    pool = ConnectionPool(connector(database_url), size=2, checkout_timeout=1)
    in_use, idle = pool.checkout(), pool.checkout()
    pool.checkin(idle)
    pool.close()

    assert idle.closed
    assert not in_use.closed
    pool.checkin(in_use)
    assert in_use.closed


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_transaction_is_retried_after_a_serialization_failure_or_deadlock(
    sqlstate: str, sql: Sql
):
    attempts = []

    @transaction
    def fail_twice() -> int:
        attempts.append(database.transaction_depth())
        database.execute_sql(
            "INSERT INTO schema_migration VALUES (%s, 'x', now())", (f"{sqlstate}",)
        )
        if len(attempts) < 3:
            database.execute_sql(
                f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{sqlstate}'; END $$"
            )
        return len(attempts)

    assert fail_twice() == 3
    assert sql("DELETE FROM schema_migration WHERE checksum = 'x' RETURNING 1") == [(1,)]


def test_a_call_that_always_fails_to_serialize_raises_unavailable():
    attempts = []

    @autocommit
    def fail_always() -> None:
        attempts.append(1)
        database.execute_sql("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")

    with pytest.raises(Unavailable):
        fail_always()
    assert 3 <= len(attempts) <= 10


def test_both_transactions_of_a_deadlock_succeed_by_retry(sql: Sql):
    sql("CREATE TABLE counter AS SELECT id, 0 AS n FROM generate_series(1, 2) AS id")
    barrier = threading.Barrier(2)
    thread_state = threading.local()

    @transaction
    def update_both(first: int, second: int) -> None:
        database.execute_sql("SET LOCAL deadlock_timeout = '50ms'")
        database.execute_sql("UPDATE counter SET n = n + 1 WHERE id = %s", (first,))
        if not getattr(thread_state, "has_met", False):
            thread_state.has_met = True
            barrier.wait(5)
        database.execute_sql("UPDATE counter SET n = n + 1 WHERE id = %s", (second,))

    assert run_concurrently(lambda: update_both(1, 2), lambda: update_both(2, 1)) == [None, None]
    assert sql("SELECT n FROM counter") == [(2,), (2,)]
    sql("DROP TABLE counter")


def test_a_violated_constraint_raises_the_domain_error_for_its_name(admin_row: Any):
    with pytest.raises(EmailTaken):
        autocommit_scalar(
            "INSERT INTO users SELECT gen_random_uuid(), email, name, password_hash, role, active,"
            " created_at, updated_at FROM users RETURNING 1"
        )


def test_other_database_errors_are_not_translated(admin_row: Any):
    with pytest.raises(peewee.IntegrityError):
        autocommit_scalar("UPDATE users SET role = 'KING' RETURNING 1")
    with pytest.raises(peewee.ProgrammingError):
        autocommit_scalar("SELECT nonsense")
    assert autocommit_scalar() == 1


def test_a_write_to_a_read_only_server_raises_unavailable():
    @transaction
    def write() -> None:
        database.execute_sql("SET TRANSACTION READ ONLY")
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")

    with pytest.raises(Unavailable):
        write()


ONE: Statement[int] = Statement("SELECT 1", lambda columns: columns[0])


def test_a_query_outside_the_decorators_is_an_error():
    with pytest.raises(peewee.InterfaceError, match="not opened"):
        database.execute_sql("SELECT 1")
    with pytest.raises(peewee.InterfaceError, match="no connection"):
        ONE.one()


def test_a_second_connection_for_the_same_caller_is_an_error():
    state = database.checkout()
    try:
        with pytest.raises(peewee.OperationalError, match="already opened"):
            database.checkout()
    finally:
        database.checkin(state)
    assert database.is_closed()


def test_a_function_that_commits_several_writes_is_not_retried(sql: Sql):
    """A retry would commit the first write twice."""
    sql("CREATE TABLE committed AS SELECT 1 AS n WHERE false")

    @autocommit_without_retry
    def write_twice() -> None:
        database.execute_sql("INSERT INTO committed VALUES (1)")
        raise_sqlstate("40P01")

    with pytest.raises(Unavailable):
        write_twice()

    assert sql("SELECT count(*) FROM committed") == [(1,)]
    sql("DROP TABLE committed")


@autocommit
def raise_sqlstate(sqlstate: str) -> None:
    database.execute_sql(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$")


@pytest.fixture
def admin_row(admin: Any) -> Any:
    """Insert a user."""
    return admin


def connector(url: str) -> Connector:
    return Connector(url, connect_timeout=5, statement_timeout=5, lock_timeout=5)


def _with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}options={options}"
