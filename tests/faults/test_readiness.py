"""`/health/ready` while the shop cannot take orders, and while the server stops or starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orderly.embedded import EmbeddedPostgreSQL
from services.demo import ACCOUNTS
from tests.support.embedded_postgresql import connect
from tests.support.problems import assert_problem
from tests.support.processes import (
    TIMEOUT_SECONDS,
    Server,
    orderly_environment,
    run_server,
    wait_until,
)
from tests.support.shop import add_product
from tests.support.small_disk import server_on_a_small_disk
from tests.support.standby import Replica

READY = "/health/ready"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def reason(server: Server) -> str | None:
    """Return why the server is not ready; None if it is."""
    response = server.get(READY)
    if response.status_code == 200:
        return None
    assert_problem(response, 503, "service_unavailable")
    assert "1" == response.headers["retry-after"]
    text: str = response.json()["reason"]
    return text


def count_threads(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def test_a_database_that_hangs_occupies_one_thread_however_many_clients_ask(
    data_dir: Path,
) -> None:
    with run_server(data_dir, "--no-worker") as server:
        postgresql = Replica(data_dir)
        assert reason(server) is None
        before = count_threads(server)
        postgresql.freeze()
        try:
            with ThreadPoolExecutor(30) as clients:
                reasons = set(clients.map(reason, [server] * 30))
                during = count_threads(server)
            assert 200 == server.get("/health/live").status_code
        finally:
            postgresql.thaw()

        assert reasons <= {"database_unavailable", "sessions_not_loaded"}
        assert during <= before + 2
        wait_until(lambda: reason(server) is None)


def test_readiness_is_503_while_the_disk_of_the_database_is_full(data_dir: Path) -> None:
    with (
        server_on_a_small_disk(data_dir) as (server, disk),
        httpx2.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as admin,
    ):
        account = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}
        assert 200 == admin.post("/api/v1/auth/login", json=account).status_code
        assert reason(server) is None
        filler = disk / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(disk).free))

        def create(number: int) -> Any:
            price = {"amount": 1, "currency": "EUR"}
            body = {"sku": f"BIG-{number}", "name": "Big", "price": price, "stock": 1}
            description = os.urandom(2000).hex()  # cannot be compressed
            return admin.post("/api/v1/products", json={**body, "description": description})

        statuses = [201]
        while statuses[-1] == 201:
            statuses.append(create(len(statuses)).status_code)

        assert 503 == statuses[-1]
        assert "database_disk_full" == reason(server)
        assert 200 == admin.get("/api/v1/products").status_code
        filler.unlink()
        assert reason(server) is None
        assert 201 == create(0).status_code
        assert add_product(admin)


def test_a_server_that_needs_a_worker_is_ready_while_one_runs(data_dir: Path) -> None:
    with run_server(data_dir, "--no-worker", ORDERLY_WORKER_SILENCE_SECONDS="10") as server:
        worker = subprocess.Popen(
            [sys.executable, "-m", "orderly", "worker", "--data-dir", str(data_dir)],
            cwd=data_dir.parent,
            env=orderly_environment(),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: heartbeats(data_dir) == 1)
            assert reason(server) is None
            worker.send_signal(signal.SIGSTOP)

            wait_until(lambda: reason(server) == "worker_missing")

            worker.send_signal(signal.SIGCONT)
            wait_until(lambda: reason(server) is None)
        finally:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
            assert 0 == worker.wait(TIMEOUT_SECONDS)


def heartbeats(data_dir: Path) -> int:
    with closing(connect(data_dir)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM worker_heartbeat")
        return cursor.rowcount


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_readiness_is_503_and_requests_are_served_until_the_drain_ends(
    data_dir: Path, workers: int
) -> None:
    with run_server(data_dir, "--workers", str(workers), ORDERLY_DRAIN_SECONDS="600") as server:
        server.send_signal(signal.SIGTERM)

        wait_until(lambda: {reason(server) for _ in range(10)} == {"stopping"})
        for _ in range(10):
            assert 200 == server.get("/api/v1/products").status_code
            assert 200 == server.get("/health/live").status_code
        assert server.has_logged("drain_started", seconds=600)
        server.send_signal(signal.SIGTERM)

        assert 0 == server.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_stops_after_the_drain(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers), ORDERLY_DRAIN_SECONDS="1") as server:
        assert 0 == server.stop()
        assert server.has_logged("drain_started")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_without_a_drain(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers), ORDERLY_DRAIN_SECONDS="600") as server:
        server.send_signal(signal.SIGINT)

        assert 0 == server.wait()


@pytest.fixture
def stopped_postgresql(tmp_path: Path) -> tuple[EmbeddedPostgreSQL, str]:
    """Return a server that has been stopped, and the URL that it will have again."""
    postgresql = EmbeddedPostgreSQL(tmp_path / "p", fsync=False)
    with postgresql as url:
        pass
    return postgresql, url


def test_the_start_waits_for_the_database(
    data_dir: Path, stopped_postgresql: tuple[EmbeddedPostgreSQL, str]
) -> None:
    postgresql, url = stopped_postgresql
    server = Server.start(data_dir, ORDERLY_DATABASE_URL=url)
    try:
        wait_until(lambda: server.has_logged("waiting_for_database", seconds=60))
        with postgresql:
            server.wait_until_ready()
            assert reason(server) is None
            assert server.has_logged("database_available")
            assert 0 == server.stop()
    finally:
        if server.process.poll() is None:
            server.stop()


def test_the_start_does_not_wait_longer_than_the_setting(
    data_dir: Path, stopped_postgresql: tuple[EmbeddedPostgreSQL, str]
) -> None:
    url = stopped_postgresql[1]
    server = Server.start(data_dir, ORDERLY_DATABASE_URL=url, ORDERLY_DATABASE_WAIT_SECONDS="1")

    assert 1 == server.wait()
    waiting, message = server.stderr.splitlines()
    assert "waiting_for_database" in waiting
    assert message.startswith("orderly: The database is busy or cannot be reached.")


def test_the_server_can_be_stopped_while_it_waits_for_the_database(
    data_dir: Path, stopped_postgresql: tuple[EmbeddedPostgreSQL, str]
) -> None:
    server = Server.start(data_dir, ORDERLY_DATABASE_URL=stopped_postgresql[1])
    wait_until(lambda: server.has_logged("waiting_for_database"))

    assert 0 == server.stop()
