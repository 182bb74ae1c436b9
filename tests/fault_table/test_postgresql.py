"""Faults of PostgreSQL and of the connections to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from orderly.embedded import EmbeddedPostgreSQL
from tests.fault_table.conftest import Measured
from tests.fault_table.running_shop import Shop, run_shop
from tests.support.embedded_postgresql import postmaster_pid
from tests.support.processes import wait_until
from tests.support.standby import Replica, primary_and_standby, url_of_both

SERVERS = "FROM pg_stat_activity WHERE application_name LIKE 'orderly server%'"


def test_kill_postgresql(shop: Shop, measured: Measured) -> None:
    """PostgreSQL's main process is killed (`kill -9`)."""
    with measured(shop):
        os.kill(postmaster_pid(shop.data_dir), signal.SIGKILL)


def test_kill_a_backend(shop: Shop, measured: Measured) -> None:
    """One backend process of PostgreSQL is killed; PostgreSQL restarts all of them."""
    with measured(shop):
        ((pid, *_), *_) = shop.sql(f"SELECT pid {SERVERS} LIMIT 1")
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)


def test_restart_postgresql_fast(shop: Shop, measured: Measured) -> None:
    """PostgreSQL is stopped in the mode `fast`, and started again."""
    with measured(shop):
        os.kill(postmaster_pid(shop.data_dir), signal.SIGINT)


def test_restart_postgresql_immediate(shop: Shop, measured: Measured) -> None:
    """PostgreSQL is stopped in the mode `immediate`, and started again."""
    with measured(shop):
        os.kill(postmaster_pid(shop.data_dir), signal.SIGQUIT)


def test_terminate_all_connections(shop: Shop, measured: Measured) -> None:
    """All connections are ended (`pg_terminate_backend`)."""
    with measured(shop):
        shop.sql(f"SELECT pg_terminate_backend(pid) {SERVERS}")


def test_freeze_postgresql(shop: Shop, measured: Measured) -> None:
    """PostgreSQL is frozen: it accepts connections, and does not respond."""
    with measured(shop, "OrderlyNotReady") as fault:
        postgresql = Replica(shop.data_dir)
        postgresql.freeze()
        try:
            fault.hold("OrderlyNotReady")
        finally:
            postgresql.thaw()


def test_a_locked_product(shop: Shop, measured: Measured) -> None:
    """Another program locks the stock of the product that most clients order, for 10 s."""
    with measured(shop), closing(psycopg2.connect(shop.url)) as locking:
        locking.cursor().execute(
            "SELECT FROM stock JOIN product ON product.id = product_id"
            " WHERE sku LIKE 'PLENTY%' FOR UPDATE OF stock"
        )
        time.sleep(10)


def test_a_read_only_database(shop: Shop, measured: Measured) -> None:
    """The database becomes read-only, as a managed one does when its disk is almost full."""
    with measured(shop, "OrderlyDatabaseReadOnly") as fault:
        postgresql = Replica(shop.data_dir)
        postgresql.become_read_only()
        try:
            fault.hold("OrderlyDatabaseReadOnly")
        finally:
            postgresql.run("ALTER SYSTEM RESET default_transaction_read_only")
            postgresql.run("SELECT pg_reload_conf()")


def test_too_few_database_connections(shop: Shop, measured: Measured) -> None:
    """PostgreSQL allows the shop only four connections."""
    with measured(shop) as fault:
        postgresql = Replica(shop.data_dir)
        postgresql.run("ALTER ROLE orderly_runtime CONNECTION LIMIT 4")
        shop.sql(f"SELECT pg_terminate_backend(pid) {SERVERS}")
        try:
            fault.hold()
        finally:
            postgresql.run("ALTER ROLE orderly_runtime CONNECTION LIMIT -1")


@contextmanager
def shop_on_both(directory: Path, primary: Replica, standby: Replica) -> Iterator[Shop]:
    # An order is acknowledged when the standby has it too: otherwise a failover can lose orders.
    primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.run("SELECT pg_reload_conf()")
    primary.run("ALTER DATABASE orderly SET synchronous_commit = on")
    with run_shop(
        directory,
        database_url=url_of_both(primary.url, standby.url),
        ORDERLY_DATABASE_URL=url_of_both(primary.runtime_url, standby.runtime_url),
        ORDERLY_DATABASE_OWNER_URL=url_of_both(primary.url, standby.url),
    ) as shop:
        yield shop


def test_failover(tmp_path: Path, measured: Measured) -> None:
    """The primary becomes read-only; then its standby is promoted. The URL names both hosts."""
    with (
        primary_and_standby(tmp_path / "r") as (primary, standby),
        shop_on_both(tmp_path, primary, standby) as shop,
        measured(shop, "OrderlyNotReady") as fault,
    ):
        primary.become_read_only()
        fault.hold("OrderlyNotReady")  # no host accepts writes, so no connection can be opened
        standby.catch_up_with(primary)
        standby.promote()
        shop.database_url = standby.url


def test_a_primary_that_is_frozen(tmp_path: Path, measured: Measured) -> None:
    """The primary, the first of two hosts, is frozen; then its standby is promoted."""
    with (
        primary_and_standby(tmp_path / "r") as (primary, standby),
        shop_on_both(tmp_path, primary, standby) as shop,
        measured(shop, "OrderlyNotReady") as fault,
    ):
        primary.freeze()
        fault.hold("OrderlyNotReady")
        standby.promote()
        shop.database_url = standby.url


def test_no_database_at_the_start(tmp_path: Path, measured: Measured) -> None:
    """The server starts while its PostgreSQL does not run; PostgreSQL starts 5 s later."""
    postgresql = EmbeddedPostgreSQL(tmp_path / "p", fsync=False)
    with postgresql as url:
        runtime_url = postgresql.runtime_url
    variables = {"ORDERLY_DATABASE_URL": runtime_url, "ORDERLY_DATABASE_OWNER_URL": url}
    try:
        postgresql.start()
        with (
            run_shop(tmp_path, database_url=url, **variables) as shop,
            measured(shop, "OrderlyDown") as fault,
        ):
            assert 0 == shop.server.stop()
            postgresql.stop()
            shop.launch()
            wait_until(lambda: shop.server.has_logged("waiting_for_database"))
            fault.hold()
            fault.end()
            postgresql.start()
            shop.server.wait_until_ready()
    finally:
        postgresql.stop()


def test_pending_migrations(shop: Shop, measured: Measured) -> None:
    """A migration is pending: the new version was started before `orderly migrate`."""
    with measured(shop, "OrderlyNotReady") as fault:
        ((name,),) = shop.sql(
            "UPDATE schema_migration SET name = 'x' || name"
            " WHERE name = (SELECT max(name) FROM schema_migration) RETURNING name"
        )
        shop.server.send_signal(signal.SIGHUP)
        fault.hold("OrderlyNotReady")
        shop.sql(f"UPDATE schema_migration SET name = substr(name, 2) WHERE name = '{name}'")
