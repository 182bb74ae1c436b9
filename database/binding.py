"""The database of this process, bound once at start: Peewee's database over our connection pool."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from greenlet import getcurrent
from peewee import PostgresqlDatabase, _ConnectionState

from database.connection import open_connection
from database.pool import Connection, ConnectionPool

_numbers = itertools.count()


class ShopDatabase(PostgresqlDatabase):
    """Peewee's PostgreSQL over the shop's own connection pool."""

    pool: ConnectionPool | None = None

    def __init__(self) -> None:
        self._place = f"database_{next(_numbers)}"
        super().__init__(None, autoconnect=False)
        # Peewee's lock is for connect() and close(), which the pool makes safe by itself; held
        # while one waits for a connection, it would keep the others from giving theirs back.
        self._lock = nullcontext()

    @property
    def _state(self) -> Any:
        """Peewee's connection and transactions: of each piece of work, and each other thread."""
        kept = vars(getcurrent())
        state = kept.get(self._place)
        if state is None:
            state = kept[self._place] = _ConnectionState()
        return state

    @_state.setter
    def _state(self, by_thread: Any) -> None:
        """Take no notice: Peewee would keep them by thread."""

    def _connect(self) -> Connection:
        assert self.pool is not None  # noqa: S101  # Peewee refuses to connect before init()
        return self.pool.take()

    def _close(self, conn: Connection) -> None:
        conn.pool.give_back(conn)

    def session(self) -> Connection | None:
        """Return the caller's connection if what one prepares on it stays, else None."""
        connection: Connection | None = self._state.conn
        return connection if connection is not None and connection.keeps_session else None


database = ShopDatabase()


def bind(
    url: str,
    *,
    max_connections: int = 20,
    checkout_timeout: float = 5.0,
    connect_timeout: float = 5.0,
    statement_timeout: float = 10.0,
    lock_timeout: float = 3.0,
) -> None:
    """Say which database this process works on, in place of any before; nothing connects yet.

    `url` is anything that libpq understands. All times are in seconds; 0 for `statement_timeout`
    or `lock_timeout` leaves it to the server. Both are sent as connection options. A pooler in
    transaction mode takes none: end the URL in `options=` then, and set them on the role (`ALTER
    ROLE ... SET statement_timeout = '10s'`).
    """
    close()
    point(
        database,
        partial(
            open_connection,
            url,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
        ),
        url=url,
        max_connections=max_connections,
        checkout_timeout=checkout_timeout,
    )


def point(
    at: ShopDatabase,
    connect: Callable[[], Connection],
    *,
    url: str,
    max_connections: int,
    checkout_timeout: float,
) -> None:
    """Give a database a new pool of connections."""
    at.init(url)
    at.pool = ConnectionPool(connect, size=max_connections, wait=checkout_timeout)


def close() -> None:
    """Close the pool. Connections in use are closed when their work is done."""
    if database.pool is not None:
        database.pool.close()
