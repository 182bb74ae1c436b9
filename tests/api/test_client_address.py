"""The address of a client, which rate limits and the security log use."""

from __future__ import annotations

import pytest
from httpx2 import Client

LOGIN = {"email": "alice@example.com", "password": "not the password"}


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_client_cannot_choose_its_address(
    admin: Client, alice: Client, anonymous: Client, header: str
) -> None:
    value = "for=203.0.113.9" if header == "Forwarded" else "203.0.113.9"
    anonymous.post("/api/v1/auth/login", json=LOGIN, headers={header: value})

    query = {"type": "SIGN_IN_FAILED", "limit": 1}
    (event,) = admin.get("/api/v1/security-events", params=query).json()["items"]
    assert "127.0.0.1" == event["address"]
