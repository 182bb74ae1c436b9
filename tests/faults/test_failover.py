"""A shop on a primary and a standby: failover, and hosts that do not respond."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from database import binding
from services import process, users
from services.configuration import Configuration
from tests.support.accounts import ADMIN
from tests.support.processes import TIMEOUT_SECONDS, Server, run_server, wait_until
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import add_product, place_order
from tests.support.standby import Replica, primary_and_standby, url_of_both


@pytest.fixture
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica]]:
    with primary_and_standby(tmp_path_factory.mktemp("r")) as pair:
        yield pair


@contextmanager
def shop_on(directory: Path, first: Replica, second: Replica, **variables: str) -> Iterator[Server]:
    directory.mkdir()
    with run_server(
        directory / "data",
        ORDERLY_DATABASE_URL=url_of_both(first.runtime_url, second.runtime_url),
        ORDERLY_DATABASE_OWNER_URL=url_of_both(first.url, second.url),
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        **NO_RATE_LIMIT_VARIABLES,
        **variables,
    ) as server:
        yield server


@contextmanager
def administrator(server: Server, database_url: str) -> Iterator[httpx2.Client]:
    """Sign in as an administrator, who is created if necessary."""
    email, password = ADMIN
    binding.bind(database_url, max_connections=1)
    process.bind(Configuration(signing_key=SIGNING_KEY.encode(), argon2_time_cost=1))
    users.create_admin(email=email, name="Ada Admin", password=password)
    binding.close()
    with httpx2.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
        credentials = {"email": email, "password": password}
        assert 200 == client.post("/api/v1/auth/login", json=credentials).status_code
        yield client


def seconds_until(condition: Callable[[], object]) -> float:
    began = time.monotonic()
    wait_until(condition)
    return time.monotonic() - began


def report(what: str, seconds: float) -> None:
    """Print a measurement, which `pytest -s` shows; it is not asserted, since machines differ."""
    print(f"\n{what}: {seconds:.2f} s")  # noqa: T201


def test_orders_continue_on_the_promoted_standby(
    tmp_path: Path, replicas: tuple[Replica, Replica]
) -> None:
    primary, standby = replicas
    began = time.monotonic()
    with (
        shop_on(tmp_path / "one", primary, standby, ORDERLY_WORKERS="2") as server,
        administrator(server, primary.url) as client,
    ):
        report("start with both hosts, and two sign-ins", time.monotonic() - began)
        mug = add_product(client, stock=1000)

        def order() -> Any:
            return place_order(client, (mug, 1))

        assert 201 == order().status_code
        primary.become_read_only()
        wait_until(lambda: order().status_code == 503)  # PostgreSQL reads the setting soon
        # Each process notices by its own requests.
        wait_until(lambda: [order().status_code for _ in range(10)] == [503] * 10)
        wait_until(lambda: {server.get("/health/ready").status_code for _ in range(9)} == {503})

        standby.catch_up_with(primary)
        standby.promote()

        report("promotion to order", seconds_until(lambda: order().status_code == 201))
        report(
            "promotion to all processes ready",
            seconds_until(
                lambda: {server.get("/health/ready").status_code for _ in range(9)} == {200}
            ),
        )
        assert [201] * 10 == [order().status_code for _ in range(10)]
        assert ("database_host_changed", str(standby.data_dir)) in {
            (line["event"], line.get("host", "").partition("/socket")[0]) for line in server.log
        }

    # After a restart, the old primary still comes first, and does not respond.
    primary.freeze()
    began = time.monotonic()
    with shop_on(tmp_path / "two", primary, standby) as server:
        report("start with a frozen first host", time.monotonic() - began)
        began = time.monotonic()
        assert 200 == server.get("/api/v1/products").status_code
        report("first request", time.monotonic() - began)
        assert 200 == server.get("/health/ready").status_code
        assert server.has_logged("database_host_not_responding")
