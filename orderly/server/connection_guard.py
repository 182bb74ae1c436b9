"""Limits how long the server waits for clients, and how many connections are open.

The guard checks all connections once a second. So the time limits cause no work for each request,
and a client can exceed them by up to a second.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

_CHECK_SECONDS = 1.0
# Connections beyond the maximum, which may only make health checks.
RESERVED_CONNECTIONS = 32
# The minimum time between two searches for idle connections. A search takes about 0.1 ms for a
# thousand connections.
_CLOSE_IDLE_SECONDS = 0.1
_WARN_SECONDS = 60.0


class Connection(Protocol):
    """The part of a connection that the guard uses."""

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open between two requests."""

    def check_time(self, now: float) -> None:
        """Close the connection if the server has waited for its client for too long."""

    def serve_health_checks_only(self) -> None:
        """Refuse all other requests."""

    def close(self) -> None:
        """Close the connection when all written data has been sent."""

    def abort(self) -> None:
        """Close the connection immediately, and discard unsent data."""


class ConnectionGuard:
    """Watches the connections of one server process. Times are in seconds.

    Args:
        max_connections: Connections beyond this number may only make health checks.
        head_seconds: The time limit for sending the head of a request. For the first request, it
            begins when the connection is opened.
        transfer_seconds: The time limit for sending the body of a request (plus time in proportion
            to its size), and for reading a part of a response.
    """

    def __init__(self, *, max_connections: int, head_seconds: int, transfer_seconds: int) -> None:
        self._max_connections = max_connections
        self.head_seconds = head_seconds
        self.transfer_seconds = transfer_seconds
        self._connections: set[Connection] = set()
        self._reserved: dict[Connection, None] = {}  # a set in the order of insertion
        self._is_checking = False
        self._closed_idle_at = self._warned_at = float("-inf")

    def add(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Watch a new connection. If there are too many, it may only make health checks."""
        if len(self._connections) >= self._max_connections:
            self._close_idle(loop.time())
        if len(self._connections) < self._max_connections:
            self._connections.add(connection)
        else:
            self._reserve(connection)
        if not self._is_checking:
            self._is_checking = True
            loop.call_later(_CHECK_SECONDS, self._check, loop)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.discard(connection)
        self._reserved.pop(connection, None)

    def _close_idle(self, now: float) -> None:
        """Close all connections that are idle between two requests."""
        if now < self._closed_idle_at + _CLOSE_IDLE_SECONDS:
            return
        self._closed_idle_at = now
        for connection in [one for one in self._connections if one.is_idle]:
            self._connections.discard(connection)
            connection.close()
        if now >= self._warned_at + _WARN_SECONDS:
            self._warned_at = now
            structlog.get_logger("orderly").warning(
                "too_many_connections", max_connections=self._max_connections
            )

    def _reserve(self, connection: Connection) -> None:
        """Accept a connection for health checks only; if there are too many, close the oldest one.

        A health check sends its request immediately. So its connection is closed too early only if
        more than `RESERVED_CONNECTIONS` other clients connect at the same moment.
        """
        connection.serve_health_checks_only()
        self._reserved[connection] = None
        if len(self._reserved) > RESERVED_CONNECTIONS:
            oldest = next(iter(self._reserved))
            del self._reserved[oldest]
            oldest.abort()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [*self._connections, *self._reserved]:
            connection.check_time(now)
        self._is_checking = bool(self._connections or self._reserved)
        if self._is_checking:
            loop.call_later(_CHECK_SECONDS, self._check, loop)
