"""Background jobs in `orderly serve` and in `orderly worker`, also after a database restart."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg2
import pytest

from orderly.background.worker import JOBS
from orderly.embedded import running_url
from tests.support.accounts import BUYERS_ACCOUNT, demo_client
from tests.support.processes import orderly_environment, run_orderly, run_server, wait_until
from tests.support.proxies import free_port

MAILS_THAT_WAIT = "SELECT count(*) FROM mail WHERE next_attempt_at IS NOT NULL"
MAKE_OVERDUE = """
    UPDATE orders SET created_at = created_at - interval '61 minutes' WHERE status = 'PENDING';
    UPDATE idempotency_key SET created_at = created_at - interval '25 hours';
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def place_order(client: httpx2.Client, key: str) -> dict[str, Any]:
    """Place an order; return it."""
    product = client.get("/api/v1/products", params={"in_stock": "true"}).json()["items"][0]
    body = {"items": [{"product_id": product["id"], "quantity": 1}]}
    response = client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key})
    assert 201 == response.status_code
    placed: dict[str, Any] = response.json()
    return placed


def run_sql(data_dir: Path, statement: str) -> list[tuple[Any, ...]]:
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
    response = client.get(f"/api/v1/orders/{placed['id']}")
    return response.status_code == 200 and response.json()["status"] == "CANCELLED"


@contextmanager
def run_workers(
    data_dir: Path, count: int, **variables: str
) -> Iterator[list[subprocess.Popen[str]]]:
    """Run several `orderly worker` processes for the duration of the block."""
    command = [sys.executable, "-m", "orderly", "worker", f"--data-dir={data_dir}"]
    workers = [
        subprocess.Popen(
            command,
            cwd=data_dir.parent,
            env=orderly_environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for worker in workers:
            assert worker.stdout
            lines = iter(worker.stdout.readline, "")
            line = next(line for line in lines if not line.startswith("Metrics: "))
            assert line == "Running the background jobs. Press Ctrl-C to stop.\n"
        yield workers
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
            worker.communicate(timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_runs_the_background_jobs(data_dir: Path, workers: str) -> None:
    with (
        run_server(data_dir, "--demo", "--workers", workers) as server,
        demo_client(server) as client,
    ):
        placed = place_order(client, "k")
        run_sql(data_dir, MAKE_OVERDUE)

        wait_until(lambda: is_cancelled(client, placed))
        wait_until(lambda: run_sql(data_dir, "SELECT count(*) FROM idempotency_key") == [(0,)])
        # The order was placed, and cancelled.
        wait_until(lambda: run_sql(data_dir, MAILS_THAT_WAIT) == [(0,)])
        assert 0 == server.stop()
    counts: Counter[str] = Counter()
    for event in server.log:
        counts[event["event"]] += event.get("count", 0)
    expected = {"orders_expired": 1, "idempotency_keys_deleted": 1, "mails_sent": 2}
    assert expected == {event: count for event, count in counts.items() if count}


def test_serve_continues_the_background_jobs_after_its_database_was_killed(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server, demo_client(server) as client:
        server.kill_postgresql(data_dir)
        placed = place_order(client, "k")
        run_sql(data_dir, MAKE_OVERDUE)

        wait_until(lambda: is_cancelled(client, placed))
        assert 0 == server.stop()
    assert "job_failed" not in server.stderr


def test_separate_workers_run_the_jobs_if_serve_does_not(data_dir: Path) -> None:
    with run_server(data_dir, "--demo", "--no-worker") as server, demo_client(server) as client:
        placed = [place_order(client, f"k{number}") for number in range(20)]
        run_sql(data_dir, MAKE_OVERDUE)
        with run_workers(data_dir, 3) as workers:
            wait_until(lambda: all(is_cancelled(client, order) for order in placed))
            signals = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
            for worker, number in zip(workers, signals, strict=True):
                worker.send_signal(number)
            assert [0, 0, 0] == [worker.wait(60) for worker in workers]
        assert [(20,)] == run_sql(
            data_dir,
            "SELECT count(*) FROM stock_movement JOIN orders ON orders.id = order_id"
            f" WHERE kind = 'RELEASE' AND user_id IN {BUYERS_ACCOUNT}",
        )
        audit = run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent)
        assert 0 == audit.returncode, audit.stdout
    assert "orders_expired" not in server.stderr


def test_a_worker_without_a_server_starts_and_stops_the_embedded_database(data_dir: Path) -> None:
    with run_workers(data_dir, 1) as (worker,):
        assert [(0,)] == run_sql(data_dir, "SELECT count(*) FROM orders")
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(60)
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


def test_a_worker_exports_the_metrics_of_its_jobs(data_dir: Path) -> None:
    port = free_port()

    def names_of_jobs() -> list[str]:
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        return re.findall(r'^orderly_job_lag_seconds{job_name="(\w+)"}', text, re.MULTILINE)

    with run_workers(data_dir, 1, ORDERLY_METRICS_PORT=str(port)):
        wait_until(lambda: names_of_jobs() == list(JOBS))
