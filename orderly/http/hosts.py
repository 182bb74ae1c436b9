"""Checks the `Host` header of each request (RFC 9112, section 3.2).

A site that lets its own name resolve to this server (DNS rebinding), or a cache that was tricked by
a false name, sends another `Host` than the shop's. `ORDERLY_ALLOWED_HOSTS` refuses such requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache, partial

from starlette.types import ASGIApp, Receive, Scope, Send

from orderly.http.problems import Problem

# RFC 3986, section 3.2.2, but not empty, and without the rare forms of IP literals.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]*)?")
# Load balancers and Kubernetes check a server by its IP address.
_HEALTH_CHECKS = frozenset({"/health/live", "/health/ready"})
_MAX_REMEMBERED = 256


class HostCheck:
    """ASGI middleware: a request must have one valid `Host`, and it must be an allowed one."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._is_allowed = lru_cache(_MAX_REMEMBERED)(
            partial(_is_allowed, frozenset(host.lower().encode() for host in allowed_hosts))
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on.

        Raises:
            Problem: `malformed_request` or `misdirected_request`.
        """
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) > 1:
                raise _malformed("maxItems", "must be sent once")
            if not hosts and scope["http_version"] != "1.0":
                raise _malformed("required", "is required")
            host = hosts[0] if hosts else None
            if not self._is_allowed(host) and scope["path"] not in _HEALTH_CHECKS:
                raise Problem("misdirected_request", "This server does not serve this host.")
        await self._app(scope, receive, send)


def check_hosts(allowed_hosts: Collection[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Return middleware that allows requests to these hosts; to any host if there are none."""
    return partial(HostCheck, allowed_hosts=allowed_hosts)


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


def _malformed(code: str, message: str) -> Problem:
    return Problem(
        "malformed_request",
        "The Host header of the request is missing or invalid.",
        errors=[{"parameter": "Host", "in": "header", "code": code, "message": message}],
    )
