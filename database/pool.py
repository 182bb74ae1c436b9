"""A pool of PostgreSQL connections, shared by threads and greenlets, with a checkout timeout.

Unlike in Peewee's pool, a checkout sends no query and holds no lock. So a slow connect does not
delay other checkouts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import psycopg2
from psycopg2 import extensions

from database.greenlets import current_task, run_in_thread, sleep
from database.socket_wait import SocketWatcher, is_readable, wait_until_ready
from database.use import current_use

_POLL_SECONDS = 0.01
# After a failed connect, callers wait this long before they try again.
_CONNECT_RETRY_SECONDS = 0.5
_MIN_REPLACE_INTERVAL_SECONDS = 1.0
# Parts of the error messages of a connection limit.
_CONNECTION_LIMIT_MESSAGES = (
    "too many clients",  # of the server
    "too many connections",  # of the role or the database
    "remaining connection slots",  # of the server: the rest is reserved for superusers
    "no more connections allowed",  # of PgBouncer
)


class PoolExhausted(psycopg2.OperationalError):
    """Every connection stayed in use until the checkout timeout."""


class NoResponse(psycopg2.OperationalError):
    """The server did not respond within the time limit of the connection."""


class Connection(extensions.connection):
    """A connection with a reference to its pool, and a time limit for each server response."""

    pool: ConnectionPool
    # False for a pooler in transaction mode (PgBouncer): prepared statements do not persist there.
    supports_prepared_statements = False
    retired = False
    # The pool closes connections of earlier generations instead of reusing them.
    generation = 0
    watcher: SocketWatcher | None = None
    # Seconds to wait for a response of the server; None means no limit.
    time_limit: float | None = None

    def __init__(self, dsn: str, time_limit: float | None = None, **options: Any) -> None:
        self.time_limit = time_limit
        # The names of the statements that are prepared on this connection.
        self.prepared: set[str] = set()
        super().__init__(dsn, **options)

    def retire(self) -> None:
        """Close the pool's idle connections now, and this one when it is returned."""
        self.retired = True
        self.pool.close_idle()


class ConnectionPool:
    """At most `size` connections, opened on demand by `connect`.

    The connection that was returned last is checked out first (LIFO).
    """

    def __init__(
        self, connect: Callable[[], Connection], *, size: int, checkout_timeout: float
    ) -> None:
        self._connect = connect
        self._checkout_timeout = checkout_timeout
        self._closed = False
        self._idle: deque[Connection] = deque()
        # One permit for each connection that may be in use. SimpleQueue is implemented in C and
        # faster than a semaphore.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._permits.put(None)
        # One object for each caller that holds a permit and waits for a connection
        self._opening: set[object] = set()
        self.size = size
        # The number of checkouts that waited and that timed out, and the time for which they waited
        self.waits = self.timeouts = 0
        self.wait_seconds = 0.0
        self._next_connect_at = 0.0
        self._generation = 0
        self._next_replace_at = 0.0

    @property
    def in_use(self) -> int:
        """The number of connections that are checked out or being opened."""
        return self.size - self._permits.qsize()

    def checkout(self) -> Connection:
        """Return a connection for exclusive use until it is checked in.

        Raises:
            PoolExhausted: no connection was returned within `checkout_timeout` seconds.
            psycopg2.Error: the server cannot be reached.
        """
        deadline = time.monotonic() + self._checkout_timeout
        try:
            self._acquire_permit(deadline)
        except Empty:
            self.timeouts += 1
            message = f"no connection was returned within {self._checkout_timeout} s"
            raise PoolExhausted(message) from None
        try:
            return self._take_idle() or self._open_or_wait(deadline)
        except BaseException:
            self._permits.put(None)
            raise

    def checkin(self, connection: Connection) -> None:
        """Return a connection; close it if it is broken, retired or inside a transaction."""
        if (
            connection.closed
            or connection.retired
            or connection.generation != self._generation
            or self._closed
            or connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE
        ):
            connection.close()
        else:
            self._idle.append(connection)
        self._permits.put(None)

    def close(self) -> None:
        """Close idle connections now, and those in use when they are returned."""
        self._closed = True
        self.close_idle()

    def replace_connections(self) -> None:
        """Close idle connections now, and those in use when they are returned.

        For a server that can no longer be used; checkouts then open new connections. Does nothing
        within a second after the last replacement: the connections are new, and replacing them
        again would not help.
        """
        now = time.monotonic()
        if now >= self._next_replace_at:
            self._next_replace_at = now + _MIN_REPLACE_INTERVAL_SECONDS
            self._generation += 1
            self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that are not in use."""
        with suppress(IndexError):  # another thread may take the last one
            while self._idle:
                self._idle.pop().close()

    def _acquire_permit(self, deadline: float) -> None:
        try:
            return self._permits.get_nowait()
        except Empty:
            self.waits += 1
        began = time.monotonic()
        try:
            self._wait_for_permit(deadline)
        finally:
            self.wait_seconds += time.monotonic() - began

    def _wait_for_permit(self, deadline: float) -> None:
        if current_task() is None:
            self._permits.get(timeout=self._checkout_timeout)
            return None
        # Poll, since a task must not block the event loop. Such waits are rare: there are as many
        # permits as tasks on the event loop, so a task waits only if threads hold connections too.
        while True:
            try:
                return self._permits.get_nowait()
            except Empty:
                if time.monotonic() > deadline:
                    raise
                sleep(_POLL_SECONDS)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            is_current = connection.generation == self._generation
            if is_current and not _has_unread_data(connection):
                return connection
            connection.close()
        return None

    def _open_or_wait(self, deadline: float) -> Connection:
        """Open a connection; if the server refuses, wait for an idle one until the deadline.

        The connection limit of the server or the role may be lower than the size of the pool, or
        exhausted by other processes.
        """
        caller = object()
        self._opening.add(caller)
        waiting_since: float | None = None
        try:
            while True:
                now = time.monotonic()
                if now >= self._next_connect_at or not self._others_have_connections():
                    try:
                        return self._open()
                    except psycopg2.OperationalError as error:
                        if not (self._others_have_connections() or _is_connection_limit(error)):
                            raise
                        if now > deadline:
                            self.timeouts += 1
                            raise
                        self._next_connect_at = time.monotonic() + _CONNECT_RETRY_SECONDS
                if waiting_since is None:
                    waiting_since = now
                    self.waits += 1
                sleep(_POLL_SECONDS)
                connection = self._take_idle()
                if connection is not None:
                    return connection
        finally:
            self._opening.discard(caller)
            if waiting_since is not None:
                self.wait_seconds += time.monotonic() - waiting_since

    def _others_have_connections(self) -> bool:
        """Return whether other callers have connections, which they will return.

        If so, treat each connect error as a connection limit: PostgreSQL may have translated its
        message, so that `_is_connection_limit` does not recognize it.
        """
        return self.in_use > len(self._opening)

    def _open(self) -> Connection:
        generation = self._generation
        # In a worker thread, since libpq resolves host names with a blocking call.
        connection = run_in_thread(self._connect)()
        connection.pool = self
        connection.generation = generation
        return connection


def _is_connection_limit(error: psycopg2.OperationalError) -> bool:
    """Return whether the server or a pooler refused a connection because there are too many.

    psycopg2 sets no SQLSTATE (53300, too_many_connections) for a failed connect.
    """
    return any(text in str(error) for text in _CONNECTION_LIMIT_MESSAGES)


def _has_unread_data(connection: Connection) -> bool:
    """Return whether the server has sent data on an idle connection.

    Unread data is almost always a shutdown notice or EOF: the connection cannot be used.
    """
    return bool(connection.closed) or is_readable(connection)


def wait_for_response(connection: Any) -> None:
    """Wait for a response, at most for the connection's time limit: psycopg2's wait callback.

    Without a limit, a server that accepts a query and never responds would block the caller
    forever: TCP timeouts detect only a server that cannot be reached.

    Raises:
        NoResponse: the time limit has passed.
    """
    limit = getattr(connection, "time_limit", None)
    began = time.monotonic()
    deadline = None if limit is None else began + limit
    try:
        _wait(connection, limit, deadline)
    finally:
        use = current_use.get()
        if use is not None:
            use.round_trips += 1
            use.seconds += time.monotonic() - began


def _wait(connection: Any, limit: float | None, deadline: float | None) -> None:
    after_partial_read = False
    while (state := connection.poll()) != extensions.POLL_OK:
        seconds = None if deadline is None else max(deadline - time.monotonic(), 0)
        writing = state == extensions.POLL_WRITE
        if not wait_until_ready(
            connection, writing=writing, seconds=seconds, after_partial_read=after_partial_read
        ):
            raise NoResponse(f"the server did not respond within {limit} s")
        after_partial_read = True


extensions.set_wait_callback(wait_for_response)
