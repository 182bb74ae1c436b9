"""Connections to PostgreSQL that are shared between threads and never wait for ever.

Thinner than Peewee's own pool: handing out a connection costs no round trip and holds no lock, so
one slow connect does not hold up everybody else.
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

from database.greenlets import aside, current_work, sleep
from database.socket_wait import SocketWatch, is_ready

_LOOKED_AGAIN_AFTER_SECONDS = 0.01


class PoolExhausted(psycopg2.OperationalError):
    """Every connection stayed in use for as long as one may wait for one."""


class Connection(extensions.connection):
    """A connection that knows where it belongs and how long it may keep one waiting."""

    pool: ConnectionPool
    # Whether what is prepared on it stays: a pooler in transaction mode gives no such promise.
    keeps_session = False
    retired = False
    watch: SocketWatch | None = None
    # Seconds for one answer of the server; None waits for ever.
    time_limit: float | None = None

    def __init__(self, dsn: str, time_limit: float | None = None, **options: Any) -> None:
        self.time_limit = time_limit
        self.prepared: set[str] = set()
        super().__init__(dsn, **options)

    def retire(self) -> None:
        """Have this connection, and those that are idle, closed rather than used again."""
        self.retired = True
        self.pool.close_idle()


class ConnectionPool:
    """At most `size` connections, made by `connect` when first needed, the latest used first."""

    def __init__(self, connect: Callable[[], Connection], *, size: int, wait: float) -> None:
        self._connect = connect
        self._wait = wait
        self._closed = False
        self._idle: deque[Connection] = deque()
        # A permit is the right to hold a connection. A SimpleQueue is written in C, as a
        # semaphore is not.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._permits.put(None)

    def take(self) -> Connection:
        """Return a connection that is for the caller alone until it is given back.

        Raises:
            PoolExhausted: none came free in time.
            psycopg2.Error: the server cannot be reached.
        """
        try:
            self._take_permit()
        except Empty:
            raise PoolExhausted(f"no connection came free within {self._wait} s") from None
        try:
            return self._alive() or self._new()
        except BaseException:
            self._permits.put(None)
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back; one that is broken or in mid-transaction is closed."""
        if (
            connection.closed
            or connection.retired
            or self._closed
            or connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE
        ):
            connection.close()
        else:
            self._idle.append(connection)
        self._permits.put(None)

    def close(self) -> None:
        """Close the idle connections now, those in use when they are given back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that nobody uses at this moment."""
        with suppress(IndexError):  # another thread may take the last
            while self._idle:
                self._idle.pop().close()

    def _take_permit(self) -> None:
        if current_work() is None:
            self._permits.get(timeout=self._wait)
            return None
        # There is one for each piece of work on the event loop: it hardly ever has to wait.
        deadline = time.monotonic() + self._wait
        while True:
            try:
                return self._permits.get_nowait()
            except Empty:
                if time.monotonic() > deadline:
                    raise
                sleep(_LOOKED_AGAIN_AFTER_SECONDS)

    def _alive(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not _has_been_told_something(connection):
                return connection
            connection.close()
        return None

    def _new(self) -> Connection:
        # Aside, since the name of a host is looked up by a call that blocks.
        connection = aside(self._connect)()
        connection.pool = self
        return connection


def _has_been_told_something(connection: Connection) -> bool:
    """Tell whether the server has written to an idle connection: all but always a farewell."""
    return bool(connection.closed) or is_ready(connection, writing=False, seconds=0)


def wait_for_answer(connection: Any) -> None:
    """Let psycopg2 wait for the server, but no longer than the connection's time limit.

    Without it a server that takes a question and never answers blocks its thread for ever: TCP's
    own limits end only connections whose other side is gone.
    """
    limit = getattr(connection, "time_limit", None)
    deadline = None if limit is None else time.monotonic() + limit
    again = False
    while (state := connection.poll()) != extensions.POLL_OK:
        seconds = None if deadline is None else max(deadline - time.monotonic(), 0)
        writing = state == extensions.POLL_WRITE
        if not is_ready(connection, writing=writing, seconds=seconds, again=again):
            raise psycopg2.OperationalError(f"the server gave no answer within {limit} s")
        again = True


extensions.set_wait_callback(wait_for_answer)
