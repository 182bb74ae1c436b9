"""When the server of a database connection is verified."""

from __future__ import annotations

import pytest

from database.tls import is_verified


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"host": "/run/postgresql"},
        {"host": "@orderly"},
        {"host": "localhost", "sslmode": "prefer"},
        {"host": "127.0.0.1,::1"},
        {"host": "db.internal", "hostaddr": "127.0.0.1"},
        {"host": "db.internal", "sslmode": "verify-full"},
        {"host": "db.internal", "sslmode": "verify-ca"},
    ],
)
def test_a_local_server_or_a_verified_certificate_is_enough(parameters: dict[str, str]) -> None:
    assert is_verified(parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {"host": "db.internal"},
        {"host": "db.internal", "sslmode": "require"},
        {"host": "localhost,db.internal", "sslmode": "prefer"},
        {"host": "localhost", "hostaddr": "192.0.2.7", "sslmode": "prefer"},
    ],
)
def test_a_remote_server_needs_a_verified_certificate(parameters: dict[str, str]) -> None:
    assert not is_verified(parameters)
