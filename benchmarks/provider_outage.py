"""Measures the shop while its payment provider is down: drops connections, hangs, or fails.

`python -m benchmarks.provider_outage [SECONDS]` places orders from several connections, while
customers try to pay. For each state of the provider (a fake of Stripe) it prints the orders a
second compared with a working provider, and how long `create_payment` took. The phases alternate
with phases of a working provider. At the end it repeats each unfinished payment, and exits with
status 1 if one is lost or if placing orders was slowed down by more than a tenth.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from services import demo
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES
from tests.support.stripe_server import StripeServer, run_stripe_server, stripe_settings

MIN_RATIO = 0.9

_CONNECTIONS = 4
_PAYERS = 6
_HANGING_SECONDS = 30.0
_TIMEOUT_SECONDS = 60
_OUTAGES = ("drops connections", "hangs", "responds 500")


class Phase(NamedTuple):
    """What was measured in one phase."""

    orders_per_second: float
    payments: Counter[int]  # by status
    slowest_payment_seconds: float


class Client:
    """A client with one connection."""

    def __init__(self, url: str, token: str = "") -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_SECONDS
        )
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; return the status and the parsed body of the response."""
        text = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api/v1{path}", text, self._headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def place_order(self, product_id: str) -> str:
        """Place an order; return its id."""
        line = {"product_id": product_id, "quantity": 1}
        status, order = self.send("POST", "/orders", {"items": [line]})
        assert status == HTTPStatus.CREATED, order
        return str(order["id"])


class Shop:
    """A shop whose provider can be taken down."""

    def __init__(self, url: str, provider: StripeServer) -> None:
        self._url = url
        self._provider = provider
        self._customer_token = self._sign_in(*demo.ACCOUNTS[1][:2])
        admin = Client(url, self._sign_in(*demo.ACCOUNTS[0][:2]))
        body = {"sku": "BENCH", "name": "Mug", "price": {"amount": 1, "currency": "EUR"}}
        _, product = admin.send("POST", "/products", {**body, "stock": 1_000_000})
        self._product_id = product["id"]
        self._payers = [Client(url, self._register(number)) for number in range(_PAYERS)]
        self.unpaid: list[tuple[Client, str]] = []

    def _register(self, number: int) -> str:
        email, password = f"payer{number}@example.com", "blackberry strudel"
        body = {"email": email, "name": "P", "password": password}
        status, problem = Client(self._url).send("POST", "/auth/register", body)
        assert status == HTTPStatus.CREATED, problem
        return self._sign_in(email, password)

    def _sign_in(self, email: str, password: str) -> str:
        body = {"email": email, "password": password}
        _, tokens = Client(self._url).send("POST", "/auth/token", body)
        return str(tokens["access_token"])

    def measure(self, state: str, seconds: float) -> Phase:
        """Place orders and try to pay for others, for some seconds."""
        context = multiprocessing.get_context("spawn")
        started, stop, count = context.Event(), context.Event(), context.Value("q", 0)
        orders = context.Process(
            target=_place_orders,
            args=(self._url, self._customer_token, self._product_id, started, stop, count),
        )
        with _provider_in(self._provider, state):
            orders.start()
            started.wait(_TIMEOUT_SECONDS)
            first, began = count.value, time.monotonic()
            results: list[tuple[int, float]] = []
            threads = [
                threading.Thread(target=self._pay, args=(client, began + seconds, results))
                for client in self._payers
            ]
            for thread in threads:
                thread.start()
            time.sleep(max(0, began + seconds - time.monotonic()))
            rate = (count.value - first) / (time.monotonic() - began)
            stop.set()
            for one in (*threads, orders):
                one.join(_TIMEOUT_SECONDS)
        statuses = Counter(status for status, _ in results)
        return Phase(rate, statuses, max((taken for _, taken in results), default=0))

    def _pay(self, client: Client, end: float, results: list[tuple[int, float]]) -> None:
        while time.monotonic() < end:
            order_id = client.place_order(self._product_id)
            began = time.monotonic()
            status, _ = client.send("POST", f"/orders/{order_id}/payments", {})
            results.append((status, time.monotonic() - began))
            if status != HTTPStatus.CREATED:
                self.unpaid.append((client, order_id))
            time.sleep(0.2)

    def lost_payments(self) -> int:
        """Repeat each payment without a response; return how many are not at the provider.

        409 `payment_in_progress`: the reconciliation job has completed it in the meantime.
        """
        lost = 0
        for client, order_id in self.unpaid:
            status, body = client.send("POST", f"/orders/{order_id}/payments", {})
            lost += status != HTTPStatus.CREATED and body["code"] != "payment_in_progress"
        return lost


@contextmanager
def _provider_in(provider: StripeServer, state: str) -> Iterator[None]:
    """Bring the provider into a state for the duration of the block."""
    if state == "hangs":
        provider.delay = _HANGING_SECONDS
    elif state == "responds 500":
        provider.status = 500
    elif state == "drops connections":
        provider.drops_connections = True
    try:
        yield
    finally:
        provider.delay, provider.status, provider.drops_connections = 0, None, False


def _place_orders(
    url: str, token: str, product_id: str, started: Event, stop: Event, count: Any
) -> None:
    """Place orders on several connections until `stop` is set; count them."""

    def place_repeatedly() -> None:
        client = Client(url, token)
        while not stop.is_set():
            client.place_order(product_id)
            with count.get_lock():
                count.value += 1
            started.set()

    threads = [threading.Thread(target=place_repeatedly) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(seconds: float) -> int:
    """Measure all outages, and return the exit status."""
    with (
        tempfile.TemporaryDirectory() as directory,
        run_stripe_server() as provider,
        run_server(
            Path(directory) / "data",
            "--demo",
            ORDERLY_LOG_LEVEL="warning",
            **NO_RATE_LIMIT_VARIABLES,
            **stripe_settings(provider),
        ) as server,
    ):
        shop = Shop(server.url, provider)
        shop.measure("works", 1)  # warms up
        ratios = []
        for state in _OUTAGES:
            before, down, after = (shop.measure(one, seconds) for one in ("works", state, "works"))
            usual = statistics.mean((before.orders_per_second, after.orders_per_second))
            ratios.append(down.orders_per_second / usual)
            print(
                f"provider {state:20}: {down.orders_per_second:5.0f} orders/s,"
                f" {ratios[-1]:.2f} of {usual:.0f}; create_payment: {dict(down.payments)},"
                f" slowest {down.slowest_payment_seconds:.1f} s",
                flush=True,
            )
        unfinished, lost = len(shop.unpaid), shop.lost_payments()
        print(f"{unfinished} payments without a response, repeated afterwards; lost: {lost}")
        return int(lost > 0 or min(ratios) < MIN_RATIO)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20))
