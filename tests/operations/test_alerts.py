"""Each alert fires because of a real fault of a running shop, and is resolved after it.

Prometheus evaluates a copy of the rules in which a minute is a second; its API says which alerts
fire. `pytest -s` prints how long each alert took.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.support import faults
from tests.support.accounts import DEMO_ADMIN, demo_client
from tests.support.processes import TIMEOUT_SECONDS, Server, run_server, wait_until
from tests.support.prometheus import RULES, Prometheus, run_prometheus
from tests.support.proxies import free_port
from tests.support.shop import PRODUCTS, add_product, place_order
from tests.support.small_disk import server_on_a_small_disk
from tests.support.smtp_server import SmtpServer, smtp_server, smtp_settings
from tests.support.standby import Replica
from tests.support.stripe_server import StripeServer, run_stripe_server, stripe_settings


@dataclass(frozen=True)
class Shop:
    """A running shop of two server processes with the embedded PostgreSQL, and its Prometheus."""

    server: Server
    data_dir: Path
    prometheus: Prometheus
    stripe: StripeServer
    mail: SmtpServer

    @property
    def url(self) -> str:
        """The URL of PostgreSQL, as a superuser."""
        return Replica(self.data_dir).url

    @property
    def products(self) -> str:
        return self.server.url + PRODUCTS

    def assert_fires(self, alert: str, fault: AbstractContextManager[object]) -> None:
        assert_fires(self.prometheus, {(alert, self.server.metrics_address)}, fault)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    with (
        run_stripe_server() as stripe,
        smtp_server(directory) as mail,
        run_server(
            directory / "data",
            "--demo",
            *("--workers", "2"),
            ORDERLY_METRICS_PORT="0",
            ORDERLY_QUEUE_TARGET_MS="200",  # the default
            **stripe_settings(stripe),
            **smtp_settings(mail),
        ) as server,
        run_prometheus(directory / "prometheus", server.metrics_address) as prometheus,
    ):
        yield Shop(server, directory / "data", prometheus, stripe, mail)


def assert_fires(
    prometheus: Prometheus, alerts: set[tuple[str, str]], fault: AbstractContextManager[object]
) -> None:
    """Begin a fault, wait until the alerts fire, end it, and wait until they are resolved."""
    wait_until(lambda: not prometheus.alerts())
    fired: dict[tuple[str, str], float] = {}
    began = time.monotonic()
    with fault:
        while not alerts <= fired.keys():
            for alert in prometheus.alerts("firing") - fired.keys():
                fired[alert] = time.monotonic() - began
            assert time.monotonic() < began + TIMEOUT_SECONDS, f"only {fired} fire"
    ended = time.monotonic()
    for alert in sorted(alerts):
        wait_until(lambda alert=alert: alert not in prometheus.alerts())
        resolved = time.monotonic() - ended
        text = f"{alert[0]}: fired after {fired[alert]:.1f} s, resolved after {resolved:.1f} s"
        print(f"\n{text}")  # noqa: T201
    others = sorted({name for name, _ in fired.keys() - alerts})
    if others:
        print(f"  {', '.join(others)} fired too")  # noqa: T201


@contextmanager
def both(*contexts: AbstractContextManager[object]) -> Iterator[None]:
    """Combine faults."""
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


def test_errors(shop: Shop) -> None:
    """A table is missing, so requests fail with 500."""
    fault = both(faults.renamed_table(shop.url, "product"), faults.requests(shop.products))
    shop.assert_fires("OrderlyErrorRate", fault)


def test_slow_requests(shop: Shop) -> None:
    """Another program locks a table again and again."""
    fault = both(faults.locks_of_a_second(shop.url, "product"), faults.requests(shop.products))
    shop.assert_fires("OrderlyLatency", fault)


def test_overload(shop: Shop) -> None:
    """Clients send more requests than the server can process."""
    shop.assert_fires("OrderlyOverloaded", faults.flood(shop.products, connections=600))


def test_a_database_that_hangs(shop: Shop) -> None:
    shop.assert_fires("OrderlyNotReady", faults.frozen_postgresql(shop.data_dir))


def test_a_read_only_database(shop: Shop) -> None:
    shop.assert_fires("OrderlyDatabaseReadOnly", faults.read_only_postgresql(shop.data_dir))


def test_a_job_that_fails(shop: Shop) -> None:
    """Another program has locked the orders, so the job that expires them fails each time."""
    shop.assert_fires("OrderlyJobStuck", faults.locked_table(shop.url, "orders"))


def test_a_killed_process(shop: Shop) -> None:
    @contextmanager
    def kill() -> Iterator[None]:
        os.kill(min(shop.server.worker_pids()), signal.SIGKILL)
        yield

    shop.assert_fires("OrderlyProcessCrashes", kill())
    wait_until(lambda: shop.prometheus.query("orderly_server_processes == 2"))


def test_a_throttled_event_loop(shop: Shop) -> None:
    shop.assert_fires("OrderlyEventLoopLag", faults.throttled(shop.server.worker_pids()))


def test_too_few_database_connections(shop: Shop) -> None:
    """PostgreSQL allows fewer connections than the server processes need."""
    fault = both(
        faults.few_connections(shop.data_dir, 5), faults.flood(shop.products, connections=32)
    )
    shop.assert_fires("OrderlyPoolExhausted", fault)


def test_a_payment_provider_that_does_not_respond_for_a_day(shop: Shop) -> None:
    """The day is not waited for: the payment is made a day older."""

    @contextmanager
    def old_payment() -> Iterator[None]:
        shop.stripe.drops_connections = True
        with demo_client(shop.server) as client:
            product = client.get(f"{PRODUCTS}?in_stock=true").json()["items"][0]
            order = place_order(client, (product, 1)).json()
            payment = client.post(
                f"/api/v1/orders/{order['id']}/payments", json={"provider": "stripe"}
            )
            assert payment.status_code >= 500, payment.text
        Replica(shop.data_dir).run(
            "UPDATE payment SET created_at = created_at - interval '25 hours',"
            " next_check_at = now()"
        )
        yield
        shop.stripe.drops_connections = False

    shop.assert_fires("OrderlyPaymentCheckGivenUp", old_payment())


def test_a_mail_server_that_refuses_a_recipient(shop: Shop) -> None:
    @contextmanager
    def refused_mail() -> Iterator[None]:
        shop.mail.replies_to_recipients.append("550 5.1.1 No such user")
        with demo_client(shop.server) as client:
            product = client.get(f"{PRODUCTS}?in_stock=true").json()["items"][0]
            assert 201 == place_order(client, (product, 1)).status_code
        yield

    shop.assert_fires("OrderlyMailGivenUp", refused_mail())


def test_a_full_disk(tmp_path: Path) -> None:
    with (
        server_on_a_small_disk(tmp_path / "data", ORDERLY_METRICS_PORT="0") as (server, disk),
        httpx2.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as admin,
        run_prometheus(tmp_path / "prometheus", server.metrics_address) as prometheus,
    ):
        assert 200 == admin.post("/api/v1/auth/login", json=DEMO_ADMIN).status_code
        filler = disk / "filler"

        @contextmanager
        def almost_full() -> Iterator[None]:
            usage = shutil.disk_usage(disk)
            filler.write_bytes(bytes(usage.free - usage.total // 20))
            yield
            filler.unlink()

        @contextmanager
        def full() -> Iterator[None]:
            filler.write_bytes(bytes(shutil.disk_usage(disk).free))
            for number in range(10_000):
                text = os.urandom(2000).hex()  # cannot be compressed
                body = {"sku": f"BIG-{number}", "name": "Big", "stock": 1, "description": text}
                price = {"amount": 1, "currency": "EUR"}
                if admin.post(PRODUCTS, json={**body, "price": price}).status_code == 503:
                    break
            yield
            filler.unlink()

        address = server.metrics_address
        assert_fires(prometheus, {("OrderlyDiskAlmostFull", address)}, almost_full())
        both_alerts = {("OrderlyDatabaseDiskFull", address), ("OrderlyNotReady", address)}
        assert_fires(prometheus, both_alerts, full())
        assert add_product(admin)


def test_clocks_that_differ(tmp_path: Path, database_url: str) -> None:
    """The clock of the server is 10 seconds ahead of that of its PostgreSQL."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    offset = tmp_path / "offset"
    offset.write_text("+0")

    @contextmanager
    def ahead() -> Iterator[None]:
        offset.write_text("+10")
        yield
        offset.write_text("+0")

    with (
        run_server(
            tmp_path / "data",
            "--no-worker",
            ORDERLY_DATABASE_URL=database_url,
            ORDERLY_METRICS_PORT="0",
            LD_PRELOAD=str(library),
            FAKETIME_TIMESTAMP_FILE=str(offset),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        ) as server,
        run_prometheus(tmp_path / "prometheus", server.metrics_address) as prometheus,
    ):
        assert_fires(prometheus, {("OrderlyClockSkew", server.metrics_address)}, ahead())


def test_a_killed_server(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    address = f"127.0.0.1:{free_port()}"
    variables = {"ORDERLY_METRICS_PORT": address.rpartition(":")[2]}
    with ExitStack() as stack:
        server = stack.enter_context(run_server(data_dir, **variables))
        prometheus = stack.enter_context(run_prometheus(tmp_path / "prometheus", address))

        @contextmanager
        def killed() -> Iterator[None]:
            server.process.kill()
            server.process.wait()
            yield
            stack.enter_context(run_server(data_dir, **variables))

        assert_fires(prometheus, {("OrderlyDown", address)}, killed())


def test_a_separate_worker_that_hangs_or_is_gone(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    worker_address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        server = stack.enter_context(
            run_server(
                data_dir,
                "--no-worker",
                ORDERLY_METRICS_PORT="0",
                ORDERLY_WORKER_SILENCE_SECONDS="10",
            )
        )

        def start_worker() -> None:
            port = worker_address.rpartition(":")[2]
            workers.append(
                stack.enter_context(faults.run_worker(data_dir, ORDERLY_METRICS_PORT=port))
            )

        workers: list[subprocess.Popen[bytes]] = []
        start_worker()
        address = server.metrics_address
        prometheus = stack.enter_context(
            run_prometheus(tmp_path / "prometheus", address, worker_address)
        )

        @contextmanager
        def killed() -> Iterator[None]:
            workers[0].kill()
            workers[0].wait()
            yield
            start_worker()

        stuck = {("OrderlyJobStuck", worker_address)}
        assert_fires(prometheus, stuck, faults.locked_table(Replica(data_dir).url, "orders"))
        gone = {("OrderlyDown", worker_address), ("OrderlyNotReady", address)}
        assert_fires(prometheus, gone, killed())


def test_each_alert_has_a_test() -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    named = set(re.findall(r'"(Orderly\w+)"', Path(__file__).read_text()))

    assert {rule["alert"] for rule in rules} == named
