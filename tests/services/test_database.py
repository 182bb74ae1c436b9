"""The pool and its decorators: what is lost is replaced, what is undecided is retried."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peewee
import psycopg2
import pytest
from psycopg2 import errors

from database import binding
from database.binding import database
from database.connection import open_connection
from database.pool import ConnectionPool, PoolExhausted
from database.transactions import (
    autocommit,
    autocommit_without_retry,
    transaction,
    transaction_without_timeout,
)
from domain.errors import EmailTaken, Unavailable
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql


def ask(sql: str = "SELECT 1", *values: Any) -> Any:
    return database.execute_sql(sql, values or None).fetchone()[0]


@autocommit
def answer(sql: str = "SELECT 1") -> Any:
    return ask(sql)


@autocommit
def backend() -> int:
    return ask("SELECT pg_backend_pid()")


@pytest.fixture
def small(database_url: str) -> Iterator[None]:
    """Bind a pool of two connections whose limits are soon reached."""
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


@contextmanager
def server_that_never_answers() -> Iterator[str]:
    """Accept connections, as a host that hangs does, and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://orderly@127.0.0.1:{listening.getsockname()[1]}/orderly?sslmode=disable"


def test_one_connection_serves_one_caller_after_the_other():
    assert backend() == backend() == backend()


def test_nested_use_joins_the_connection_and_the_transaction():
    @transaction
    def outer() -> tuple[int, int, bool]:
        return ask("SELECT pg_backend_pid()"), backend(), inner()

    @transaction
    def inner() -> bool:
        return database.transaction_depth() == 1

    first, second, joined = outer()

    assert first == second
    assert joined
    assert database.is_closed()


def test_a_transaction_that_raises_leaves_nothing(sql: Sql):
    @transaction
    def fail() -> None:
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert sql("SELECT 1 FROM schema_migration WHERE name = 'x'") == []
    assert answer() == 1


def test_times_are_utc_whatever_the_server_prefers(database_url: str):
    binding.bind(_with_options(database_url, "-c%20TimeZone%3DAsia%2FKolkata"))

    assert answer("SELECT TIMESTAMPTZ '2026-01-01 12:00:00Z'").isoformat() == (
        "2026-01-01T12:00:00+00:00"
    )


def test_limits_are_told_to_the_server_unless_the_url_says_otherwise(database_url: str):
    def limits() -> list[str]:
        return [answer(f"SHOW {name}") for name in ("statement_timeout", "lock_timeout")]

    binding.bind(database_url, statement_timeout=7, lock_timeout=0.5)
    assert limits() == ["7s", "500ms"]
    binding.bind(_with_options(database_url, ""), statement_timeout=7, lock_timeout=0.5)
    assert limits() == ["0", "0"]


def test_no_more_connections_than_allowed_and_no_endless_wait(small: None, sql: Sql):
    arrived, leave = threading.Barrier(3), threading.Event()

    @autocommit
    def stay() -> int:
        arrived.wait()
        leave.wait()
        return ask("SELECT pg_backend_pid()")

    def ask_meanwhile() -> Any:
        arrived.wait()
        began = time.monotonic()
        try:
            return answer()
        except Unavailable as error:
            return error.__cause__, time.monotonic() - began
        finally:
            leave.set()

    first, second, (cause, waited) = run_concurrently(stay, stay, ask_meanwhile)

    assert first != second
    assert isinstance(cause, peewee.OperationalError)
    assert isinstance(cause.orig, PoolExhausted)
    assert 0.15 < waited < 5
    assert answer() == 1


def test_one_who_waits_gets_the_connection_that_comes_free(database_url: str):
    binding.bind(database_url, max_connections=2, checkout_timeout=30)

    @autocommit
    def slowly() -> int:
        return ask("SELECT 1 FROM pg_sleep(0.03)")

    assert run_concurrently(*[slowly] * 8) == [1] * 8


def test_a_connection_killed_while_idle_is_replaced_unnoticed(sql: Sql):
    killed = backend()
    sql("SELECT pg_terminate_backend(%s, 1000)", killed)

    assert backend() != killed


def test_a_connection_killed_in_the_middle_is_unavailable_and_the_next_call_fine(sql: Sql):
    @autocommit
    def dies() -> None:
        sql("SELECT pg_terminate_backend(%s, 1000)", ask("SELECT pg_backend_pid()"))
        ask()

    @transaction
    def dies_in_a_transaction() -> None:
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")
        sql("SELECT pg_terminate_backend(%s, 1000)", ask("SELECT pg_backend_pid()"))

    for call in (dies, dies_in_a_transaction):
        with pytest.raises(Unavailable):
            call()
        assert database.is_closed()
        assert answer() == 1
    assert sql("SELECT 1 FROM schema_migration WHERE name = 'x'") == []


def test_all_connections_killed_at_once_is_nothing_to_the_next_callers(sql: Sql):
    run_concurrently(*[lambda: answer("SELECT 1 FROM pg_sleep(0.05)")] * 8)
    sql(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
        " WHERE application_name = 'orderly' AND datname = current_database()"
    )

    assert run_concurrently(*[answer] * 8) == [1] * 8


def test_a_statement_that_takes_too_long_is_unavailable_and_its_connection_usable(small: None):
    pid = backend()
    with pytest.raises(Unavailable) as refused:
        answer("SELECT pg_sleep(10)")

    assert isinstance(refused.value.__cause__.orig, errors.QueryCanceled)
    assert backend() == pid


def test_unhurried_work_may_take_its_time(small: None):
    @transaction_without_timeout
    def slowly() -> int:
        return ask("SELECT 1 FROM pg_sleep(0.8)")

    assert slowly() == 1
    with pytest.raises(Unavailable):
        answer("SELECT pg_sleep(10)")


def test_a_row_that_stays_locked_is_unavailable(small: None, admin_row: Any, database_url: str):
    locking = psycopg2.connect(database_url)
    locking.cursor().execute("SELECT FROM users FOR UPDATE")

    with pytest.raises(Unavailable) as refused:
        answer("UPDATE users SET name = 'x' RETURNING 1")

    assert isinstance(refused.value.__cause__.orig, errors.LockNotAvailable)
    locking.close()


def test_a_server_that_accepts_and_never_answers_is_given_up():
    with server_that_never_answers() as url:
        binding.bind(url, connect_timeout=0.3)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            answer()

    assert time.monotonic() - began < 5


def test_a_server_that_stops_answering_is_given_up(database_url: str):
    """The server's own limit is off and it sleeps on: only ours ends the wait."""
    connection = open_connection(
        database_url, connect_timeout=5, statement_timeout=0, lock_timeout=0
    )
    connection.time_limit = 0.3

    with pytest.raises(psycopg2.OperationalError, match="did not respond within"):
        connection.cursor().execute("SELECT pg_sleep(5)")
    assert connection.closed


def test_a_slow_connect_holds_up_nobody_else(database_url: str):
    """One caller waits for a server that hangs; the others go on with what there is."""
    hanging = threading.Event()
    held = threading.Event()

    def connect() -> Any:
        if hanging.is_set():
            held.wait(5)
        return open_connection(database_url, connect_timeout=5, statement_timeout=5, lock_timeout=5)

    pool = ConnectionPool(connect, size=3, wait=1)
    first = pool.checkout()
    hanging.set()
    waiting = threading.Thread(target=lambda: pool.checkin(pool.checkout()))
    waiting.start()

    for _ in range(3):
        pool.checkin(first)
        first = pool.checkout()

    held.set()
    waiting.join()
    pool.checkin(first)
    pool.close()


def test_a_connection_in_mid_transaction_is_not_given_to_another(database_url: str):
    pool = ConnectionPool(
        lambda: open_connection(
            database_url, connect_timeout=5, statement_timeout=5, lock_timeout=5
        ),
        size=1,
        wait=1,
    )
    connection = pool.checkout()
    connection.cursor().execute("BEGIN")
    pool.checkin(connection)

    assert connection.closed
    assert pool.checkout() is not connection


def test_a_connection_given_back_after_the_pool_was_closed_is_closed(database_url: str):
    pool = ConnectionPool(
        lambda: open_connection(
            database_url, connect_timeout=5, statement_timeout=5, lock_timeout=5
        ),
        size=2,
        wait=1,
    )
    in_use, idle = pool.checkout(), pool.checkout()
    pool.checkin(idle)
    pool.close()

    assert idle.closed
    assert not in_use.closed
    pool.checkin(in_use)
    assert in_use.closed


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_the_whole_of_a_transaction_is_retried_after_a_lost_race(sqlstate: str, sql: Sql):
    attempts = []

    @transaction
    def race() -> int:
        attempts.append(database.transaction_depth())
        database.execute_sql(
            "INSERT INTO schema_migration VALUES (%s, 'x', now())", (f"{sqlstate}",)
        )
        if len(attempts) < 3:
            database.execute_sql(
                f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{sqlstate}'; END $$"
            )
        return len(attempts)

    assert race() == 3
    assert sql("DELETE FROM schema_migration WHERE checksum = 'x' RETURNING 1") == [(1,)]


def test_a_race_that_is_always_lost_is_unavailable_in_the_end():
    attempts = []

    @autocommit
    def race() -> None:
        attempts.append(1)
        database.execute_sql("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")

    with pytest.raises(Unavailable):
        race()
    assert 3 <= len(attempts) <= 10


def test_a_real_deadlock_is_resolved(sql: Sql):
    sql("CREATE TABLE crosswise AS SELECT id, 0 AS n FROM generate_series(1, 2) AS id")
    both = threading.Barrier(2)
    met = threading.local()

    @transaction
    def cross(first: int, second: int) -> None:
        database.execute_sql("SET LOCAL deadlock_timeout = '50ms'")
        database.execute_sql("UPDATE crosswise SET n = n + 1 WHERE id = %s", (first,))
        if not getattr(met, "once", False):
            met.once = True
            both.wait(5)
        database.execute_sql("UPDATE crosswise SET n = n + 1 WHERE id = %s", (second,))

    assert run_concurrently(lambda: cross(1, 2), lambda: cross(2, 1)) == [None, None]
    assert sql("SELECT n FROM crosswise") == [(2,), (2,)]
    sql("DROP TABLE crosswise")


def test_a_broken_constraint_is_the_shops_own_error_by_its_name(admin_row: Any):
    with pytest.raises(EmailTaken):
        answer(
            "INSERT INTO users SELECT gen_random_uuid(), email, name, password_hash, role, active,"
            " created_at, updated_at FROM users RETURNING 1"
        )


def test_a_constraint_that_means_nothing_to_the_shop_is_a_fault_of_ours(admin_row: Any):
    with pytest.raises(peewee.IntegrityError):
        answer("UPDATE users SET role = 'KING' RETURNING 1")
    with pytest.raises(peewee.ProgrammingError):
        answer("SELECT nonsense")
    assert answer() == 1


def test_a_server_that_only_reads_is_unavailable():
    @transaction
    def write() -> None:
        database.execute_sql("SET TRANSACTION READ ONLY")
        database.execute_sql("INSERT INTO schema_migration VALUES ('x', 'x', now())")

    with pytest.raises(Unavailable):
        write()


def test_only_services_reach_the_database():
    with pytest.raises(peewee.InterfaceError, match="not opened"):
        database.execute_sql("SELECT 1")


@pytest.fixture
def admin_row(admin: Any) -> Any:
    """Have somebody in the table of users."""
    return admin


def _with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}options={options}"


def test_a_function_that_commits_several_writes_is_not_repeated(sql: Sql):
    """A retry would commit the first write twice."""
    sql("CREATE TABLE written AS SELECT 1 AS n WHERE false")

    @autocommit_without_retry
    def write_twice() -> None:
        database.execute_sql("INSERT INTO written VALUES (1)")
        raise_sqlstate("40P01")

    with pytest.raises(Unavailable):
        write_twice()

    assert sql("SELECT count(*) FROM written") == [(1,)]
    sql("DROP TABLE written")


@autocommit
def raise_sqlstate(sqlstate: str) -> None:
    database.execute_sql(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$")
