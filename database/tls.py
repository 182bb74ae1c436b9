"""Checks whether connections to PostgreSQL verify the server by its TLS certificate."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from psycopg2.extensions import parse_dsn

from database.binding import database
from database.transactions import autocommit

# The only values of libpq's `sslmode` with which the server's certificate is always verified.
_VERIFYING = {"verify-ca", "verify-full"}


@autocommit
def is_server_verified() -> bool:
    """Return whether the bound database's server is verified by TLS, or is on this machine."""
    # The effective parameters, which libpq combines from the URL, environment variables
    # (PGSSLMODE), a service file and defaults.
    parameters = database.connection().info.dsn_parameters
    # `dsn_parameters` contains only the connected host. The URL can contain several hosts.
    in_url = parse_dsn(database.database)
    hosts: dict[str, str] = {name: in_url[name] for name in ("host", "hostaddr") if name in in_url}
    return is_verified({**parameters, **hosts})


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
