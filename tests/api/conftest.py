"""A running server with response validation on, and people signed in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest

from services import users
from tests.conftest import UNLIMITED
from tests.faults.processes import serving

ADMIN = ("admin@example.com", "correct horse battery staple")
PASSWORD = "a long enough passphrase"
UNLIMITED_VARIABLES = {f"ORDERLY_{name.upper()}": str(most) for name, most in UNLIMITED.items()}
SIGNING_KEY = "a signing key for tests, 32 bytes long"


@pytest.fixture(scope="session")
def base_url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server of its own process, on the shared database."""
    with serving(
        tmp_path_factory.mktemp("api") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_STOREFRONT="true",
        ORDERLY_WORKER="false",  # tests say themselves when time has passed
        **UNLIMITED_VARIABLES,
    ) as server:
        yield server.url


Client = httpx2.Client


@pytest.fixture
def anyone(base_url: str) -> Iterator[Client]:
    """Return a client that has not signed in."""
    with httpx2.Client(base_url=base_url) as client:
        yield client


@pytest.fixture
def sign_in(base_url: str) -> Iterator[Callable[[str, str], Client]]:
    """Return a function that opens a session in a browser-like client."""
    clients = []

    def signed_in(email: str, password: str) -> Client:
        client = httpx2.Client(base_url=base_url)
        clients.append(client)
        answer = client.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return client

    yield signed_in
    for client in clients:
        client.close()


@pytest.fixture
def new_client(anyone: Client, sign_in: Callable[[str, str], Client]) -> Callable[[str], Client]:
    """Return a function that registers a person and signs them in."""

    def registered(name: str) -> Client:
        body = {"email": f"{name}@example.com", "name": name.title(), "password": PASSWORD}
        assert anyone.post("/api/v1/auth/register", json=body).status_code == 201
        return sign_in(body["email"], PASSWORD)

    return registered


@pytest.fixture
def alice(new_client: Callable[[str], Client]) -> Client:
    """Return a signed-in customer."""
    return new_client("alice")


@pytest.fixture
def bob(new_client: Callable[[str], Client]) -> Client:
    """Return another signed-in customer."""
    return new_client("bob")


@pytest.fixture
def admin(shop: str, sign_in: Callable[[str, str], Client]) -> Client:
    """Return a signed-in administrator, made as on the command line."""
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    return sign_in(email, password)
