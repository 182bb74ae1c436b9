"""PostgreSQL itself is killed, again and again, while people order and repeat what failed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.support.accounts import demo_client
from tests.support.embedded_postgresql import connect
from tests.support.processes import Server, run_orderly, run_server, wait_until

BUYERS = 8
KILLS = 3
ORDERS_BETWEEN_KILLS = 60
PLENTY = """
    WITH more AS (UPDATE stock SET quantity = quantity + 100000 RETURNING product_id, quantity)
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, request_id, created_at)
    SELECT gen_random_uuid(), product_id, 'ADJUSTMENT', 100000, quantity, 'test', now() FROM more
"""


class Buyer(threading.Thread):
    """Orders one thing after another; what was not answered is asked for again, by the same key."""

    def __init__(self, server: Server, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[str, str] = {}
        self.retries: Counter[object] = Counter()
        self._server = server
        self._stopped = stopped

    def run(self) -> None:
        with demo_client(self._server) as client:
            product = client.get("/api/v1/products").json()["items"][0]["id"]
            while not self._stopped.is_set():
                key = str(uuid4())
                answer = self._insist(client, product, key)
                assert answer.status_code == 201, answer.text
                self.acknowledged[key] = answer.json()["id"]

    def _insist(self, client: httpx2.Client, product: str, key: str) -> httpx2.Response:
        body = {"items": [{"product_id": product, "quantity": 1}], "note": key}
        while True:
            try:
                answer = client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key})
            except httpx2.TransportError as error:
                self.retries[type(error).__name__] += 1
            else:
                if answer.status_code == 201:
                    return answer
                assert answer.status_code == 503 or answer.json()["code"] == "idempotency_in_flight"
                self.retries[answer.status_code] += 1
            time.sleep(0.05)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_acknowledged_order_is_lost_and_none_is_doubled(tmp_path: Path, workers: str) -> None:
    data_dir, stopped = tmp_path / "data", threading.Event()
    with run_server(data_dir, "--demo", "--workers", workers) as server:
        with connect(data_dir) as connection:
            connection.cursor().execute(PLENTY)
        buyers = [Buyer(server, stopped) for _ in range(BUYERS)]
        for buyer in buyers:
            buyer.start()
        wait_until(lambda: all(buyer.acknowledged for buyer in buyers))

        def placed() -> int:
            return sum(len(buyer.acknowledged) for buyer in buyers)

        for _ in range(KILLS):
            enough = placed() + ORDERS_BETWEEN_KILLS
            wait_until(lambda enough=enough: placed() >= enough)
            server.kill_postgresql(data_dir)
        enough = placed() + ORDERS_BETWEEN_KILLS
        wait_until(lambda: placed() >= enough)
        stopped.set()
        for buyer in buyers:
            buyer.join(60)
            assert not buyer.is_alive()

        acknowledged = {k: v for buyer in buyers for k, v in buyer.acknowledged.items()}
        with connect(data_dir) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT note, id::text FROM orders")
            kept = cursor.fetchall()
        assert sum((buyer.retries for buyer in buyers), Counter())
        # Each order carries its key as its note: none is missing, none is there twice, and there
        # is none that nobody was told of, since everybody has insisted.
        assert len(kept) == len(dict(kept))
        assert acknowledged == dict(kept)
        checked = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)

    assert (0, "") == (checked.returncode, checked.stderr)
