"""Faults of the server's own processes, and signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import psycopg2

from tests.fault_table.conftest import Measured
from tests.fault_table.running_shop import Shop
from tests.support.embedded_postgresql import postmaster_pid
from tests.support.processes import TIMEOUT_SECONDS, run_server, wait_until
from tests.support.shop import cancel_order, place_order

# systemd's RestartSec in deploy/systemd/orderly.service
RESTART_SECONDS = 2.0
# Time limit of a test for a reload or two
RELOAD_SECONDS = 200.0
LOCK = "SELECT FROM stock WHERE product_id = %s FOR UPDATE"
# The process that cancels an order, if its transaction is in a state
CANCELLING = """
    SELECT substring(application_name from '[0-9]+')::int FROM pg_stat_activity
    WHERE state = '{}' AND query LIKE '/*cancel_order*/%'
"""


def test_kill_a_server_process(shop: Shop, measured: Measured) -> None:
    """A server process is killed (`kill -9`)."""
    with measured(shop, "OrderlyProcessCrashes"):
        os.kill(min(shop.server.worker_pids()), signal.SIGKILL)


def test_kill_the_supervisor(shop: Shop, measured: Measured) -> None:
    """The supervisor is killed; systemd starts it again after 2 s."""
    with measured(shop, "OrderlyDown") as fault:
        shop.server.send_signal(signal.SIGKILL)
        shop.server.wait()
        fault.end()
        time.sleep(RESTART_SECONDS)
        shop.start_again()


def test_kill_everything(shop: Shop, measured: Measured) -> None:
    """Server, supervisor and PostgreSQL are killed at once; systemd starts the server after 2 s."""
    with measured(shop, "OrderlyDown") as fault:
        postmaster = postmaster_pid(shop.data_dir)
        for pid in (shop.server.process.pid, *shop.server.worker_pids(), postmaster):
            os.kill(pid, signal.SIGKILL)
        shop.server.wait()
        fault.end()
        time.sleep(RESTART_SECONDS)
        shop.start_again()


def test_sigterm_and_start(shop: Shop, measured: Measured) -> None:
    """The server is stopped (SIGTERM), and started again."""
    with measured(shop) as fault:
        assert 0 == shop.server.stop()
        fault.end()
        shop.start_again()


def test_sighup(shop: Shop, measured: Measured) -> None:
    """The server is reloaded (SIGHUP)."""
    with measured(shop):
        before = reloads(shop)
        shop.server.send_signal(signal.SIGHUP)
        wait_until(lambda: reloads(shop) == before + 1, RELOAD_SECONDS)


def test_sighup_while_reloading(shop: Shop, measured: Measured) -> None:
    """Five more SIGHUP arrive while the server reloads."""
    with measured(shop):
        before = reloads(shop)
        shop.server.send_signal(signal.SIGHUP)
        wait_until(lambda: len(shop.server.worker_pids()) > 2)
        for _ in range(5):
            shop.server.send_signal(signal.SIGHUP)
        wait_until(lambda: reloads(shop) == before + 2, RELOAD_SECONDS)


def reloads(shop: Shop) -> int:
    # `Server.log` waits until nothing is logged for a moment, which never happens under load.
    return (shop.data_dir.parent / "stderr").read_text().count('"event":"reloaded"')


def test_freeze_a_server_process(shop: Shop, measured: Measured) -> None:
    """A server process is frozen (SIGSTOP), until the supervisor kills it."""
    with measured(shop, "OrderlyProcessCrashes"):
        frozen = min(shop.server.worker_pids())
        os.kill(frozen, signal.SIGSTOP)
        wait_until(lambda: frozen not in shop.server.worker_pids())


def test_freeze_a_server_process_in_a_transaction(shop: Shop, measured: Measured) -> None:
    """A server process is frozen while a cancellation has locked the stock of the product."""
    with (
        measured(shop, "OrderlyProcessCrashes") as fault,
        closing(psycopg2.connect(shop.url)) as locking,
        httpx2.Client(base_url=shop.server.url, timeout=TIMEOUT_SECONDS) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        client.headers["Authorization"] = f"Bearer {shop.tokens[0]}"
        order = place_order(client, (fault.product, 1), (fault.other, 1)).json()
        # The cancellation locks the product, then waits for the other one.
        locking.cursor().execute(LOCK, (fault.other["id"],))
        cancellation = thread.submit(suppressed, cancel_order, client, order)
        wait_until(lambda: shop.sql(CANCELLING.format("active")))
        ((pid,),) = shop.sql(CANCELLING.format("active"))
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGSTOP)
        locking.rollback()
        wait_until(lambda: shop.sql(CANCELLING.format("idle in transaction")))
        began = time.monotonic()
        wait_until(lambda: not shop.sql(CANCELLING.format("idle in transaction")))
        fault.notes.append(f"the stock was locked for {time.monotonic() - began:.1f} s")
        fault.end()
        wait_until(lambda: pid not in shop.server.worker_pids(), RELOAD_SECONDS)
        cancellation.result()


def test_a_frozen_process_prevents_neither_a_reload_nor_the_stop(tmp_path: Path) -> None:
    with run_server(tmp_path / "data", "--workers", "2") as server:
        first, second = server.worker_pids()
        os.kill(first, signal.SIGSTOP)
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: first not in server.worker_pids())
        os.kill(second, signal.SIGSTOP)

        assert 0 == server.stop()
        killed = [line["pid"] for line in server.log if line["event"] == "server_process_killed"]
        assert [first, second] == sorted(killed, key=[first, second].index)


def suppressed(send: Callable[..., object], *arguments: object) -> None:
    """Send a request whose connection may be lost."""
    with suppress(httpx2.TransportError):
        send(*arguments)
