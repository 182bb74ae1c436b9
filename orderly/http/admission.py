"""Refuses requests before routing: to a wrong host, or on a connection over the limit.

A request must have one valid `Host` header (RFC 9112, section 3.2). With `ORDERLY_ALLOWED_HOSTS`,
requests for other hosts are refused. This prevents DNS rebinding, where an attacker's host name
resolves to this server, and cache poisoning by a false host name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache, partial

from starlette.types import ASGIApp, Receive, Scope, Send

from orderly.http.problems import Problem
from orderly.http.server_state import HEALTH_CHECKS_ONLY

# RFC 3986, section 3.2.2, but not empty, and without the rare forms of IP literals.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]*)?")
# Always allowed: load balancers and Kubernetes send the server's IP address as `Host`, and check a
# server even while it is overloaded.
HEALTH_CHECKS = frozenset({"/health/live", "/health/ready"})
_MAX_CACHED_HOSTS = 256


class Admission:
    """ASGI middleware that passes a request on only if this server can serve it."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._is_allowed = lru_cache(_MAX_CACHED_HOSTS)(
            partial(_is_allowed, frozenset(host.lower().encode() for host in allowed_hosts))
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the host and the connection, then call the next application.

        Raises:
            Problem: `malformed_request`, `misdirected_request` or `service_unavailable`.
        """
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) > 1:
                raise _malformed("maxItems", "must be sent once")
            if not hosts and scope["http_version"] != "1.0":
                raise _malformed("required", "is required")
            host = hosts[0] if hosts else None
            is_allowed = self._is_allowed(host)
            health_checks_only = HEALTH_CHECKS_ONLY in scope.get("state", ())
            if (health_checks_only or not is_allowed) and scope["path"] not in HEALTH_CHECKS:
                raise _misdirected() if not is_allowed else _overloaded()
        await self._app(scope, receive, send)


def admission(allowed_hosts: Collection[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Return middleware that allows requests to these hosts; to any host if there are none."""
    return partial(Admission, allowed_hosts=allowed_hosts)


def _is_allowed(allowed: frozenset[bytes], host: bytes | None) -> bool:
    """Return whether a host, with or without port, is allowed.

    Raises:
        Problem: it is not a valid host.
    """
    if host is None:
        return not allowed
    match = _HOST.fullmatch(host)
    if match is None:
        raise _malformed("pattern", "must be a host name or an IP address, with or without a port")
    return not allowed or match[1].lower() in allowed


def _misdirected() -> Problem:
    return Problem("misdirected_request", "This server does not serve this host.")


def _overloaded() -> Problem:
    return Problem(
        "service_unavailable",
        "The server has too many open connections.",
        headers={"Connection": "close"},
    )


def _malformed(code: str, message: str) -> Problem:
    return Problem(
        "malformed_request",
        "The Host header of the request is missing or invalid.",
        errors=[{"parameter": "Host", "in": "header", "code": code, "message": message}],
    )
