"""The background work, as its users run it: beside the server, alone, through restarts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg2
import pytest

from orderly.embedded import running_url
from tests.support.accounts import demo_client
from tests.support.processes import orderly_environment, run_orderly, run_server, wait_until

AGE = """
    UPDATE orders SET created_at = created_at - interval '61 minutes' WHERE status = 'PENDING';
    UPDATE idempotency_key SET created_at = created_at - interval '25 hours';
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def order(client: httpx2.Client, key: str) -> dict[str, Any]:
    """Place an order that will not be paid for, and let more than an hour go by."""
    product = client.get("/api/v1/products", params={"in_stock": "true"}).json()["items"][0]
    body = {"items": [{"product_id": product["id"], "quantity": 1}]}
    answer = client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key})
    assert 201 == answer.status_code
    placed: dict[str, Any] = answer.json()
    return placed


def run(data_dir: Path, statement: str) -> list[tuple[Any, ...]]:
    url = running_url(data_dir)
    assert url is not None
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(statement)
    rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def is_cancelled(client: httpx2.Client, placed: dict[str, Any]) -> bool:
    answer = client.get(f"/api/v1/orders/{placed['id']}")
    return answer.status_code == 200 and answer.json()["status"] == "CANCELLED"


@contextmanager
def working(data_dir: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Run `orderly worker` so many times at once while the block runs."""
    command = [sys.executable, "-m", "orderly", "worker", f"--data-dir={data_dir}"]
    workers = [
        subprocess.Popen(
            command,
            cwd=data_dir.parent,
            env=orderly_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for one in workers:
            assert one.stdout
            assert "Doing the background work. Ctrl-C stops it.\n" == one.stdout.readline()
        yield workers
    finally:
        for one in workers:
            if one.poll() is None:
                one.terminate()
            one.communicate(timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_does_the_background_work_too(data_dir: Path, workers: str) -> None:
    with (
        run_server(data_dir, "--demo", "--workers", workers) as server,
        demo_client(server) as client,
    ):
        placed = order(client, "k")
        run(data_dir, AGE)

        wait_until(lambda: is_cancelled(client, placed))
        wait_until(lambda: run(data_dir, "SELECT count(*) FROM idempotency_key") == [(0,)])
        assert 0 == server.stop()
    told = {one["event"]: one["count"] for one in server.log if "count" in one}
    assert {"orders_expired": 1, "idempotency_keys_deleted": 1} == told


def test_serve_goes_on_with_it_after_its_database_was_killed(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server, demo_client(server) as client:
        server.kill_postgresql(data_dir)
        placed = order(client, "k")
        run(data_dir, AGE)

        wait_until(lambda: is_cancelled(client, placed))
        assert 0 == server.stop()
    assert "job_failed" not in server.stderr


def test_workers_of_their_own_do_it_where_serve_does_not(data_dir: Path) -> None:
    with run_server(data_dir, "--demo", "--no-worker") as server, demo_client(server) as client:
        placed = [order(client, f"k{number}") for number in range(20)]
        run(data_dir, AGE)
        with working(data_dir, 3) as workers:
            wait_until(lambda: all(is_cancelled(client, one) for one in placed))
            signals = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
            for one, number in zip(workers, signals, strict=True):
                one.send_signal(number)
            assert [0, 0, 0] == [one.wait(60) for one in workers]
        assert [(20,)] == run(
            data_dir, "SELECT count(*) FROM stock_movement WHERE kind = 'RELEASE'"
        )
        checked = run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent)
        assert 0 == checked.returncode, checked.stdout
    assert "orders_expired" not in server.stderr


def test_a_worker_alone_brings_its_database_along_and_stops_it(data_dir: Path) -> None:
    with working(data_dir, 1) as (worker,):
        assert [(0,)] == run(data_dir, "SELECT count(*) FROM orders")
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(60)
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()
