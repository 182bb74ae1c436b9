"""A running shop under load, in which a fault is measured: one row of the table."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx2

from database import binding
from orderly.embedded import running_url
from services import process, users
from services.configuration import Configuration
from tests.fault_table.order_load import OrderLoad, describe
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.embedded_postgresql import run_statement
from tests.support.processes import TIMEOUT_SECONDS, Server, run_orderly, wait_until
from tests.support.prometheus import Prometheus, run_prometheus
from tests.support.proxies import free_port
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import add_product
from tests.support.stripe_server import StripeServer

CUSTOMERS = 4
STOCK = 1_000_000
SCARCE_STOCK = 30
# How long a fault lasts that no alert reports.
_HOLD_SECONDS = 5.0
_numbers = itertools.count()
_STORED = "SELECT note, id::text FROM orders WHERE note IS NOT NULL"
_SOLD = """
    SELECT coalesce(sum(quantity), 0)::int FROM order_item JOIN orders ON orders.id = order_id
    WHERE product_id = '{}' AND status <> 'CANCELLED'
"""


class Row(NamedTuple):
    """One row of the table."""

    fault: str
    test: str
    seen: str
    recovery_seconds: float
    orders: int
    lost: int
    doubled: int
    oversold: int
    alerts: str


@dataclass
class Shop:
    """A running shop of two server processes. `database_url` is None if PostgreSQL is embedded."""

    server: Server
    data_dir: Path
    arguments: tuple[str, ...]
    variables: dict[str, str]
    database_url: str | None
    prometheus: Prometheus
    tokens: list[str]
    stripe: StripeServer | None = None

    @property
    def url(self) -> str:
        """The URL of the shop's database, as a superuser."""
        url = self.database_url or running_url(self.data_dir)
        assert url is not None
        return url

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as a superuser."""
        return run_statement(self.url, statement)

    def launch(self) -> None:
        """Start the server again with the same settings and address, as systemd does."""
        self.server = Server.start(self.data_dir, *self.arguments, **self.variables)

    def start_again(self) -> None:
        """Start the server again; return when it is ready."""
        self.launch()
        self.server.wait_until_ready()

    def errors(self) -> list[str]:
        """Return the tracebacks of internal errors in the log, since the last start."""
        return [
            line["exception"] for line in self.server.log if line["event"] == "unexpected_error"
        ]

    @contextmanager
    def administrator(self) -> Iterator[httpx2.Client]:
        """Sign the administrator in; yield the client."""
        with httpx2.Client(base_url=self.server.url, timeout=TIMEOUT_SECONDS) as client:
            email, password = ADMIN
            credentials = {"email": email, "password": password}
            assert 200 == client.post("/api/v1/auth/login", json=credentials).status_code
            yield client

    def audit(self) -> str:
        """Return what `orderly audit` reports: nothing if all invariants hold."""
        done = run_orderly(
            *("audit", "--data-dir", str(self.data_dir)),
            directory=self.data_dir.parent,
            ORDERLY_DATABASE_URL=self.url,
        )
        return done.stdout * (done.returncode != 0) + done.stderr


class Fault:
    """A fault in a running shop, and the clients that notice it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        # The names of the alerts that fired, in that order
        self.fired: list[str] = []
        # What else the table says about what clients saw
        self.notes: list[str] = []
        self._began = self._ended = 0.0
        with shop.administrator() as admin:
            number = next(_numbers)
            self.product = add_product(admin, f"PLENTY-{number}", stock=STOCK)
            # Clients order the first two, and the test may order the third one.
            self.other = add_product(admin, f"OTHER-{number}", stock=STOCK)
            self.scarce = add_product(admin, f"SCARCE-{number}", stock=SCARCE_STOCK)
        self.load = OrderLoad(shop.server.port, shop.tokens, self.product["id"], self.scarce["id"])

    def hold(self, alert: str | None = None) -> None:
        """Return when an alert fires, or after 5 seconds."""
        if alert is None:
            time.sleep(_HOLD_SECONDS)
        else:
            wait_until(lambda: alert in self.fired)

    def end(self) -> None:
        """Count the recovery from now on, and not from the end of the block."""
        self._ended = time.monotonic()

    @contextmanager
    def measured(self, alert: str | None) -> Iterator[None]:
        """Measure the fault, which begins and ends in this block; wait for the recovery.

        `alert` must have fired then.
        """
        wait_until(lambda: not self.shop.prometheus.alerts())  # of earlier faults
        stopped = threading.Event()
        watcher = threading.Thread(target=self._watch_alerts, args=(stopped,), daemon=True)
        self.load.start()
        try:
            watcher.start()
            self.load.sells_scarce_product = True
            self._began = time.monotonic()
            yield
            self._ended = self._ended or time.monotonic()
            wait_until(lambda: self.load.has_recovered(since=self._ended))
            if alert is not None:
                wait_until(lambda: alert in self.fired)
            self.load.stop()
        finally:
            self.load.give_up()
            stopped.set()
            watcher.join()

    def _watch_alerts(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.1):
            for alert in sorted({name for name, _ in self.shop.prometheus.alerts("firing")}):
                if alert not in self.fired:
                    self.fired.append(alert)

    def row(self, fault: str, test: str) -> Row:
        """Return the row of the fault that was measured."""
        attempts = self.load.attempts(self._began)
        bad = [one.ended for one in attempts if not one.is_good and one.ended > self._ended]
        acknowledged = self.load.acknowledged
        stored = [(str(key), str(id_)) for key, id_ in self.shop.sql(_STORED)]
        by_key = dict(stored)
        ((sold,),) = self.shop.sql(_SOLD.format(self.scarce["id"]))
        assert isinstance(sold, int)
        return Row(
            fault=fault,
            test=test,
            seen="; ".join([describe(attempts, self._began), *self.notes]),
            recovery_seconds=max(bad, default=self._ended) - self._ended,
            orders=len(acknowledged),
            lost=sum(by_key.get(key) != id_ for key, id_ in acknowledged.items()),
            doubled=len(stored) - len(by_key),
            oversold=max(0, sold - SCARCE_STOCK),
            alerts=", ".join(self.fired) or "none",
        )


@contextmanager
def run_shop(
    directory: Path,
    *arguments: str,
    database_url: str | None = None,
    targets: tuple[str, ...] = (),
    **variables: str,
) -> Iterator[Shop]:
    """Run a shop with two server processes and a Prometheus for the duration of the block.

    `database_url` is the superuser's URL of a separate PostgreSQL; otherwise it is embedded.
    `targets` are other addresses that Prometheus scrapes.
    """
    port, metrics_port = free_port(), free_port()
    arguments = ("--port", str(port), "--workers", "2", *arguments)
    variables = settings(metrics_port, **variables)
    server = Server.start(directory / "data", *arguments, **variables)
    try:
        server.wait_until_ready()
        with prometheus_of(directory, metrics_port, *targets) as prometheus:
            shop = Shop(
                server, directory / "data", arguments, variables, database_url, prometheus, []
            )
            create_accounts(shop)
            try:
                yield shop
            finally:
                server = shop.server
    finally:
        if server.process.poll() is None:
            server.stop()


def settings(metrics_port: int, **variables: str) -> dict[str, str]:
    """Return the settings of a server under test; `variables` are added, or replace them."""
    return {
        **NO_RATE_LIMIT_VARIABLES,
        "ORDERLY_SIGNING_KEY": SIGNING_KEY,
        "ORDERLY_ACCESS_TOKEN_MINUTES": "120",
        "ORDERLY_COOKIE_SECURE": "false",
        "ORDERLY_SANDBOX_PAYMENTS": "false",
        "ORDERLY_METRICS_PORT": str(metrics_port),
        "ORDERLY_QUEUE_TARGET_MS": "200",  # the default, unlike in other tests
        **variables,
    }


@contextmanager
def prometheus_of(directory: Path, metrics_port: int, *targets: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes a server."""
    address = f"127.0.0.1:{metrics_port}"
    with run_prometheus(directory / "prometheus", address, *targets) as prometheus:
        yield prometheus


def create_accounts(shop: Shop) -> None:
    """Create the administrator, and register customers."""
    email, password = ADMIN
    binding.bind(shop.url, max_connections=1)
    process.bind(Configuration(signing_key=SIGNING_KEY.encode(), argon2_time_cost=1))
    users.create_admin(email=email, name="Ada Admin", password=password)
    binding.close()
    for number in range(CUSTOMERS):
        credentials = {"email": f"customer{number}@example.com", "password": PASSWORD}
        registered = shop.server.post("/api/v1/auth/register", {**credentials, "name": "C"})
        assert 201 == registered.status_code
        signed_in = shop.server.post("/api/v1/auth/token", credentials)
        shop.tokens.append(signed_in.json()["access_token"])
