"""Fixtures: a server behind each of the proxies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client

from services import users
from tests.support.accounts import ADMIN
from tests.support.processes import Server, run_server
from tests.support.proxies import HOST, Proxy, run_caddy, run_nginx
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

PROXIES = {"nginx": run_nginx, "caddy": run_caddy}


@pytest.fixture(scope="session")
def server(runtime_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with the settings that the examples name."""
    with run_server(
        tmp_path_factory.mktemp("server") / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="true",
        ORDERLY_TRUSTED_PROXIES="127.0.0.1",
        ORDERLY_ALLOWED_HOSTS=HOST,
        ORDERLY_WORKER="false",
        ORDERLY_TRANSFER_SECONDS="5",
        **NO_RATE_LIMIT_VARIABLES,
    ) as running:
        yield running


@pytest.fixture(scope="session", params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Run a proxy in front of the server."""
    directory = tmp_path_factory.mktemp(request.param)
    with PROXIES[request.param](server.port, directory) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    """Return a client that is not signed in."""
    with Client(base_url=proxy.url, verify=proxy.certificate.context(), timeout=60) as client:
        yield client


@pytest.fixture
def admin(shop: str, client: Client) -> Client:
    """Return a client that is signed in as an administrator, with the cookies of a browser."""
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    response = client.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert response.status_code == 200, response.text
    return client


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory for a proxy of one test."""
    return tmp_path
