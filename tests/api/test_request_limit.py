"""The limit of the requests of each client, `ORDERLY_REQUEST_LIMIT`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx2
import pytest

from tests.support.problems import assert_problem
from tests.support.processes import Server, run_server, wait_until
from tests.support.settings import SIGNING_KEY

LIMIT = 5
# A client that sends so many requests reaches the limit, even if that takes many seconds.
MANY = 4 * LIMIT
ORIGIN = "https://shop.example.com"
PRODUCTS = "/api/v1/products"

addresses = (f"198.51.100.{number}" for number in count(1))


@pytest.fixture(scope="module")
def limited(runtime_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with a low limit, that trusts the address that a proxy on this machine sends."""
    with run_server(
        tmp_path_factory.mktemp("limited") / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_WORKER="false",
        ORDERLY_METRICS_PORT="0",
        ORDERLY_REQUEST_LIMIT=str(LIMIT),
        ORDERLY_TRUSTED_PROXIES="127.0.0.1",
        ORDERLY_CORS_ORIGINS=ORIGIN,
    ) as server:
        yield server


def send(server: Server, path: str, *from_addresses: str) -> list[httpx2.Response]:
    """Send a request from each address; return the responses."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        return [
            client.get(path, headers={"X-Forwarded-For": address, "Origin": ORIGIN})
            for address in from_addresses
        ]


def statuses(server: Server, path: str, *from_addresses: str) -> list[int]:
    """Send a request from each address; return the statuses of the responses."""
    return [response.status_code for response in send(server, path, *from_addresses)]


def test_a_request_above_the_limit_is_429_and_says_when_to_try_again(limited: Server) -> None:
    responses = send(limited, PRODUCTS, *[next(addresses)] * MANY)

    response = next(one for one in responses if one.status_code == 429)
    problem = assert_problem(response, 429, "too_many_attempts")
    seconds = problem["retry_after"]
    limit = (problem["policy"], problem["quota"], problem["window_seconds"])
    assert ("requests", LIMIT, 10) == limit
    assert 1 <= seconds <= 2
    assert str(seconds) == response.headers["Retry-After"]
    assert f'"requests";q={LIMIT};w=10' == response.headers["RateLimit-Policy"]
    assert f'"requests";r=0;t={seconds}' == response.headers["RateLimit"]
    assert "no-store" == response.headers["Cache-Control"]
    # A page of another origin can read the response, too.
    assert ORIGIN == response.headers["Access-Control-Allow-Origin"]
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_each_client_has_its_own_limit(limited: Server) -> None:
    assert 429 in statuses(limited, PRODUCTS, *[next(addresses)] * MANY)

    assert [200] * LIMIT == statuses(limited, PRODUCTS, *[next(addresses)] * LIMIT)


def test_the_addresses_of_an_ipv6_network_share_a_limit(limited: Server) -> None:
    of_one_network = [f"2001:db8:0:1::{number}" for number in range(MANY)]
    of_different_networks = [f"2001:db8:1:{number}::1" for number in range(MANY)]

    assert 429 in statuses(limited, PRODUCTS, *of_one_network)
    assert 429 not in statuses(limited, PRODUCTS, *of_different_networks)


@pytest.mark.parametrize(
    "path", ["/", "/openapi.json", "/docs", "/unknown", f"{PRODUCTS}/unknown", "/api/v1/orders"]
)
def test_every_page_and_operation_is_limited(limited: Server, path: str) -> None:
    found = statuses(limited, path, *[next(addresses)] * MANY)

    assert 429 not in found[:LIMIT]
    assert 429 in found


def test_health_checks_are_not_limited_and_do_not_count(limited: Server) -> None:
    address = next(addresses)

    assert 429 not in statuses(limited, "/health/live", *[address] * MANY)
    assert 429 not in statuses(limited, "/health/ready", *[address] * MANY)
    assert [200] * LIMIT == statuses(limited, PRODUCTS, *[address] * LIMIT)


def test_refused_requests_are_counted_in_the_metrics_and_logged(limited: Server) -> None:
    def counted() -> float:
        text = httpx2.get(f"http://{limited.metrics_address}/metrics").text
        match = re.search(r"^orderly_requests_rate_limited_total (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0.0

    before = counted()
    address = next(addresses)
    refused = statuses(limited, PRODUCTS, *[address] * MANY).count(429)

    wait_until(lambda: counted() >= before + refused)
    event = {"client": address, "problem": "too_many_attempts", "operation_id": None}
    assert limited.has_logged("request", status=429, **event)


def test_a_limit_of_0_allows_any_number(runtime_url: str, tmp_path: Path) -> None:
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_WORKER="false",
        ORDERLY_REQUEST_LIMIT="0",
    ) as server:
        assert {200} == {*statuses(server, "/openapi.json", *["192.0.2.1"] * 10 * LIMIT)}
