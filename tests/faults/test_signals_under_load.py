"""SIGHUP and SIGTERM while clients send requests: no request fails.

The clients behave like a load balancer: they keep connections open, open a new one after
`Connection: close` or EOF, and send nothing to a server whose readiness is 503.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.accounts import BUYERS_ACCOUNT, DEMO_CLIENT
from tests.support.embedded_postgresql import connect
from tests.support.processes import TIMEOUT_SECONDS, Server, run_orderly, run_server, wait_until
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

# `tox -e faults` sends more signals.
SIGNALS = int(os.environ.get("PYTEST_SIGNALS", "1"))
CLIENTS = 8
# Between two requests of a client, so that the load leaves time for the start of processes.
PAUSE_SECONDS = 0.02
PRODUCTS = "/api/v1/products?limit=5"
ADD_STOCK = """
    WITH more AS (UPDATE stock SET quantity = quantity + 1000000 RETURNING product_id, quantity)
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, request_id, created_at)
    SELECT gen_random_uuid(), product_id, 'ADJUSTMENT', 1000000, quantity, 'test', now() FROM more
"""


class Load:
    """Clients that read products and place orders, each with one request at a time."""

    def __init__(self, server: Server) -> None:
        self.port = server.port
        self.token: str = server.post("/api/v1/auth/token", DEMO_CLIENT).json()["access_token"]
        self.product: str = server.get(PRODUCTS).json()["items"][0]["id"]
        self.outcomes: Counter[object] = Counter()
        self.orders: set[str] = set()
        self.stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Wait for the responses to all requests that have been sent; send no others."""
        self.stopped.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
            assert not thread.is_alive()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests have a response."""
        target = sum(self.outcomes.values()) + more
        wait_until(lambda: sum(self.outcomes.values()) >= target)

    def _run(self, number: int) -> None:
        connection: HTTPConnection | None = None
        while not self.stopped.wait(PAUSE_SECONDS):
            # Every fourth client opens a connection for each request.
            if connection is not None and (number % 4 == 0 or not _is_open(connection)):
                connection.close()
                connection = None
            try:
                if connection is None:
                    connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
                    connection.connect()
                will_close = self._send(connection, places_order=number % 2 == 1)
            except (OSError, HTTPException) as error:
                self.outcomes[repr(error)] += 1
                will_close = True
            if will_close and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _send(self, connection: HTTPConnection, *, places_order: bool) -> bool:
        """Send a request; return whether the connection ends with its response."""
        if places_order:
            body = {"items": [{"product_id": self.product, "quantity": 1}]}
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/orders", json.dumps(body), headers)
        else:
            connection.request("GET", PRODUCTS)
        response = connection.getresponse()
        content = json.loads(response.read())
        if response.status == 201:
            self.orders.add(content["id"])
        self.outcomes[response.status] += 1
        return response.will_close


def _is_open(connection: HTTPConnection) -> bool:
    """Return whether an idle connection can be used: the server has not closed it."""
    assert isinstance(connection.sock, socket.socket)
    return not select.select([connection.sock], [], [], 0)[0]


def test_sighup_under_load_fails_no_request(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    arguments = ("--demo", "--no-worker", "--workers", "2")
    with run_server(data_dir, *arguments, **NO_RATE_LIMIT_VARIABLES) as server:
        add_stock(data_dir)
        load = Load(server)
        with load.running():
            for _ in range(SIGNALS):
                load.wait_for(50)
                before = server.worker_pids()
                server.send_signal(signal.SIGHUP)
                wait_until(lambda before=before: not server.worker_pids() & before)
            load.wait_for(50)

        report(load)
        assert {200, 201} == load.outcomes.keys()
        assert load.orders == stored_orders(data_dir)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_fails_no_request(tmp_path: Path, workers: str) -> None:
    data_dir = tmp_path / "data"
    orders: set[str] = set()
    for number in range(SIGNALS):
        arguments = ("--demo", "--no-worker", "--workers", workers)
        variables = {**NO_RATE_LIMIT_VARIABLES, "ORDERLY_DRAIN_SECONDS": "2"}
        with run_server(data_dir, *arguments, **variables) as server:
            if number == 0:
                add_stock(data_dir)
            load = Load(server)
            with load.running():
                load.wait_for(50)
                server.send_signal(signal.SIGTERM)
                wait_until(lambda server=server: server.get("/health/ready").status_code == 503)
            assert 0 == server.wait()

        report(load)
        assert {200, 201} == load.outcomes.keys()
        orders |= load.orders
    with run_server(data_dir, "--demo"):
        assert orders == stored_orders(data_dir)
        audit = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)
        assert (0, "") == (audit.returncode, audit.stderr)


# -- helpers


def add_stock(data_dir: Path) -> None:
    with connect(data_dir) as connection:
        connection.cursor().execute(ADD_STOCK)


def stored_orders(data_dir: Path) -> set[str]:
    with connect(data_dir) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT id::text FROM orders WHERE user_id IN {BUYERS_ACCOUNT}")
        return {order_id for (order_id,) in cursor.fetchall()}


def report(load: Load) -> None:
    print(f"\n{dict(load.outcomes)}")  # noqa: T201
