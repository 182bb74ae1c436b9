"""Faults that make alerts fire. Each lasts for the duration of a block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg2

from tests.support.embedded_postgresql import run_statement
from tests.support.processes import TIMEOUT_SECONDS, orderly_environment, wait_until
from tests.support.standby import Replica


@contextmanager
def requests(url: str, *, clients: int = 4) -> Iterator[None]:
    """Send GET requests from several clients, each as soon as it has its last response."""

    def send(client: httpx2.Client) -> None:
        with suppress(httpx2.HTTPError):
            client.get(url)

    def run(stopped: threading.Event) -> None:
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            while not stopped.is_set():
                send(client)

    with _threads(run, count=clients):
        yield


@contextmanager
def flood(url: str, *, connections: int) -> Iterator[None]:
    """Send as many GET requests as wrk can."""
    command = ["wrk", "--threads=1", f"--connections={connections}", "--duration=1h", url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def renamed_table(url: str, name: str) -> Iterator[None]:
    """Rename a table, as a migration of another version could."""
    run_statement(url, f"ALTER TABLE {name} RENAME TO renamed")
    try:
        yield
    finally:
        run_statement(url, f"ALTER TABLE renamed RENAME TO {name}")


@contextmanager
def locked_table(url: str, name: str) -> Iterator[None]:
    """Leave a transaction open that has locked a table."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def locks_of_a_second(url: str, name: str) -> Iterator[None]:
    """Lock a table again and again, each time for almost a second."""

    def run(stopped: threading.Event) -> None:
        while not stopped.is_set():
            with locked_table(url, name):
                time.sleep(0.9)

    with _threads(run):
        yield


@contextmanager
def frozen_postgresql(data_dir: Path) -> Iterator[None]:
    """Stop all processes of PostgreSQL: it accepts connections and does not respond."""
    server = Replica(data_dir)
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def read_only_postgresql(data_dir: Path) -> Iterator[None]:
    """Make PostgreSQL refuse to write."""
    server = Replica(data_dir)
    server.become_read_only()
    try:
        yield
    finally:
        server.run("ALTER SYSTEM RESET default_transaction_read_only")
        server.run("SELECT pg_reload_conf()")


@contextmanager
def few_connections(data_dir: Path, count: int) -> Iterator[None]:
    """Allow the role of servers and workers this number of connections, and end those it has."""
    server = Replica(data_dir)
    role = urlsplit(server.runtime_url).username
    server.run(f"ALTER ROLE {role} CONNECTION LIMIT {count}")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
    try:
        yield
    finally:
        server.run(f"ALTER ROLE {role} CONNECTION LIMIT -1")


@contextmanager
def throttled(pids: Iterable[int]) -> Iterator[None]:
    """Let processes run for only 100 ms of each 400 ms, as a CPU limit of a container does."""

    def signal_all(number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def run(stopped: threading.Event) -> None:
        while not stopped.wait(0.1):
            signal_all(signal.SIGSTOP)
            time.sleep(0.3)
            signal_all(signal.SIGCONT)

    with _threads(run):
        yield


@contextmanager
def run_worker(data_dir: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `orderly worker` until the end of the block, or until the block ends it."""
    with (data_dir.parent / "worker").open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "orderly", "worker", "--data-dir", str(data_dir)],
            cwd=data_dir.parent,
            env=orderly_environment(**variables),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: b"Ctrl-C" in (data_dir.parent / "worker").read_bytes())
        yield worker
    finally:
        worker.terminate()
        worker.wait(TIMEOUT_SECONDS)


@contextmanager
def _threads(run: Callable[[threading.Event], None], count: int = 1) -> Iterator[None]:
    """Run a function in threads; at the end of the block, set its event and wait for it."""
    stopped = threading.Event()
    threads = [threading.Thread(target=run, args=(stopped,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
