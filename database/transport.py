"""Checks how the connections to PostgreSQL are protected."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from database.binding import database
from database.transactions import autocommit

# The only values of libpq's `sslmode` with which the server's certificate is always verified.
_VERIFYING = {"verify-ca", "verify-full"}


@autocommit
def is_server_verified() -> bool:
    """Return whether a connection of the bound database can only reach the intended server."""
    # libpq's own view: the URL, environment variables (PGSSLMODE), a service file and defaults.
    return is_verified(database.connection().info.dsn_parameters)


def is_verified(parameters: Mapping[str, str]) -> bool:
    """Return whether libpq verifies the server's certificate, or the server is on this machine."""
    hosts = (parameters.get("hostaddr") or parameters.get("host") or "").split(",")
    return parameters.get("sslmode") in _VERIFYING or all(map(_is_local, hosts))


def _is_local(host: str) -> bool:
    """Return whether a host of libpq is a Unix socket or a loopback address."""
    if not host or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
