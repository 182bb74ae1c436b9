"""The accounts that tests sign in with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.support.processes import TIMEOUT_SECONDS, Server

ADMIN = ("admin@example.com", "correct horse battery staple")
PASSWORD = "a long enough passphrase"

# The administrator and the customer of a shop that `orderly serve --demo` fills.
DEMO_ADMIN = {"email": "admin@orderly.example", "password": "turquoise kettle 27"}
DEMO_CLIENT = {"email": "client@orderly.example", "password": "marmalade lantern 64"}
# SQL that selects the id of the demo's customer, who has no order in a new demo.
BUYERS_ACCOUNT = "(SELECT id FROM users WHERE email = 'client@orderly.example')"


@contextmanager
def demo_client(server: Server) -> Iterator[httpx2.Client]:
    """Sign the demo's customer in to a server; yield the HTTP client."""
    with httpx2.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
        assert client.post("/api/v1/auth/login", json=DEMO_CLIENT).status_code == 200
        yield client
