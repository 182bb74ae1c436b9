"""A server that is killed while it handles requests loses no acknowledged order."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.support.accounts import demo_client
from tests.support.processes import (
    TIMEOUT_SECONDS,
    Server,
    run_orderly,
    run_server,
    wait_until,
)

BUYERS = 8


def buy(
    server: Server, session: httpx2.Cookies, acknowledged: dict[str, str], stopped: threading.Event
) -> None:
    """Place orders, each with its own idempotency key, until the connection fails."""
    with (
        suppress(httpx2.TransportError),
        httpx2.Client(base_url=server.url, cookies=session, timeout=TIMEOUT_SECONDS) as client,
    ):
        products = client.get("/api/v1/products", params={"in_stock": "true"}).json()["items"]
        while not stopped.is_set():
            for product in products:
                key = str(uuid4())
                body = {"items": [{"product_id": product["id"], "quantity": 1}]}
                response = client.post(
                    "/api/v1/orders", json=body, headers={"Idempotency-Key": key}
                )
                if response.status_code == 201:
                    acknowledged[key] = response.json()["id"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_acknowledged_order_survives_sigkill(tmp_path: Path, workers: str) -> None:
    data_dir = tmp_path / "data"
    acknowledged: dict[str, str] = {}
    stopped = threading.Event()
    with run_server(data_dir, "--demo", "--workers", workers) as server:
        with demo_client(server) as client:
            session = client.cookies
        buyers = [
            threading.Thread(target=buy, args=(server, session, acknowledged, stopped))
            for _ in range(BUYERS)
        ]
        for buyer in buyers:
            buyer.start()
        wait_until(lambda: len(acknowledged) >= 100)

        server.send_signal(signal.SIGKILL)
        server.wait()

        stopped.set()
        for buyer in buyers:
            buyer.join()

    with run_server(data_dir, "--demo") as server, demo_client(server) as client:
        for key, order_id in acknowledged.items():
            order = client.get(f"/api/v1/orders/{order_id}")
            assert order.status_code == 200
            item = order.json()["items"][0]
            body = {"items": [{"product_id": item["product_id"], "quantity": 1}]}
            repeated = client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key})
            assert (201, order_id) == (repeated.status_code, repeated.json()["id"])
            assert "true" == repeated.headers["idempotent-replayed"]
        audit = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)

    assert (0, "") == (audit.returncode, audit.stderr)
