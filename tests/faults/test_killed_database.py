"""PostgreSQL is killed repeatedly while clients place orders and retry failed requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.support.accounts import BUYERS_ACCOUNT, demo_client
from tests.support.embedded_postgresql import connect
from tests.support.processes import Server, run_orderly, run_server, wait_until

BUYERS = 8
KILLS = 3
ORDERS_BETWEEN_KILLS = 60
ADD_STOCK = """
    WITH more AS (UPDATE stock SET quantity = quantity + 100000 RETURNING product_id, quantity)
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, request_id, created_at)
    SELECT gen_random_uuid(), product_id, 'ADJUSTMENT', 100000, quantity, 'test', now() FROM more
"""


# Concurrent sign-ins to one account are limited.
_SIGN_IN = threading.Lock()


class Buyer(threading.Thread):
    """Places orders; repeats each request with the same idempotency key until it succeeds."""

    def __init__(self, server: Server, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[str, str] = {}
        self.retries: Counter[object] = Counter()
        self._server = server
        self._stopped = stopped

    def run(self) -> None:
        with ExitStack() as stack:
            with _SIGN_IN:
                client = stack.enter_context(demo_client(self._server))
            product = client.get("/api/v1/products").json()["items"][0]["id"]
            while not self._stopped.is_set():
                key = str(uuid4())
                response = self._place_with_retries(client, product, key)
                assert response.status_code == 201, response.text
                self.acknowledged[key] = response.json()["id"]

    def _place_with_retries(self, client: httpx2.Client, product: str, key: str) -> httpx2.Response:
        body = {"items": [{"product_id": product, "quantity": 1}], "note": key}
        while True:
            try:
                response = client.post(
                    "/api/v1/orders", json=body, headers={"Idempotency-Key": key}
                )
            except httpx2.TransportError as error:
                self.retries[type(error).__name__] += 1
            else:
                if response.status_code == 201:
                    return response
                assert (
                    response.status_code == 503
                    or response.json()["code"] == "idempotency_in_flight"
                )
                self.retries[response.status_code] += 1
            time.sleep(0.05)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_acknowledged_order_is_stored_exactly_once(tmp_path: Path, workers: str) -> None:
    data_dir, stopped = tmp_path / "data", threading.Event()
    with run_server(data_dir, "--demo", "--workers", workers) as server:
        with connect(data_dir) as connection:
            connection.cursor().execute(ADD_STOCK)
        buyers = [Buyer(server, stopped) for _ in range(BUYERS)]
        for buyer in buyers:
            buyer.start()
        wait_until(lambda: all(buyer.acknowledged for buyer in buyers))

        def placed() -> int:
            return sum(len(buyer.acknowledged) for buyer in buyers)

        for _ in range(KILLS):
            target = placed() + ORDERS_BETWEEN_KILLS
            wait_until(lambda target=target: placed() >= target)
            server.kill_postgresql(data_dir)
        target = placed() + ORDERS_BETWEEN_KILLS
        wait_until(lambda: placed() >= target)
        stopped.set()
        for buyer in buyers:
            buyer.join(60)
            assert not buyer.is_alive()

        acknowledged = {
            key: order_id for buyer in buyers for key, order_id in buyer.acknowledged.items()
        }
        with connect(data_dir) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT note, id::text FROM orders WHERE user_id IN {BUYERS_ACCOUNT}")
            stored = cursor.fetchall()
        assert sum((buyer.retries for buyer in buyers), Counter())
        # Each order has its key as its note. No order is missing or stored twice. Every stored
        # order was acknowledged, since each client retried until it got a 201.
        assert len(stored) == len(dict(stored))
        assert acknowledged == dict(stored)
        audit = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)

    assert (0, "") == (audit.returncode, audit.stderr)
