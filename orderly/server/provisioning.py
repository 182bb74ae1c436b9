"""Sees to it that there is a database: the one that the settings name, or the embedded one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import structlog

from orderly.settings import Settings, SettingsError

_START_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.1
# For commands beside the server, and what PostgreSQL itself keeps back
_SPARE_CONNECTIONS = 40


def _nothing_to_keep_alive() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Provided:
    """A database that is there to be used, until the block that asked for it is left."""

    url: str
    # Starts an embedded server again that has died; False where that does not help.
    keep_alive: Callable[[], bool] = _nothing_to_keep_alive
    # Empties an embedded database; None for any other, which is not ours to empty.
    recreate_database: Callable[[], None] | None = None


@contextmanager
def database_of(settings: Settings, *, shared: bool = False) -> Iterator[Provided]:
    """Provide the database of the settings.

    `shared` takes an embedded one as it is where another process runs it already, so that a
    command works beside `orderly serve`.

    Raises:
        EmbeddedDatabaseError: the embedded one cannot run, or, unless shared, runs already.
    """
    if settings.database_url is not None:
        yield Provided(settings.database_url)
        return
    # Not known to systems that have no embedded PostgreSQL
    from orderly.embedded import (  # noqa: PLC0415
        DataDirectoryInUseError,
        EmbeddedDatabaseError,
        EmbeddedPostgreSQL,
    )

    # Each worker has one beside those of its threads; while one is replaced, there is one more.
    connections = (settings.workers + 1) * (settings.threads + 1) + _SPARE_CONNECTIONS
    server = EmbeddedPostgreSQL(
        settings.data_dir,
        account=settings.database_system_user,
        options={"max_connections": str(connections)},
    )
    try:
        url = server.start()
    except DataDirectoryInUseError:
        running = _running_elsewhere(settings.data_dir) if shared else None
        if running is None:
            raise
        yield Provided(running)
        return

    def keep_alive() -> bool:
        if server.is_alive():
            return True
        log = structlog.get_logger("orderly")
        log.error("embedded_database_died")
        server.stop()
        try:
            return server.start() == url
        except EmbeddedDatabaseError as error:
            log.error("embedded_database_gone", exc_info=error)
            return False

    try:
        yield Provided(url, keep_alive, server.recreate_database)
    finally:
        server.stop()


def _running_elsewhere(data_dir: Path) -> str | None:
    """Return the URL of the server that another process runs, once it answers."""
    from orderly.embedded import running_url  # noqa: PLC0415  # see database_of()

    deadline = time.monotonic() + _START_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        url = running_url(data_dir)
        if url is not None:
            try:
                psycopg2.connect(url, connect_timeout=5).close()
            except psycopg2.OperationalError:
                pass  # it is just starting or stopping
            else:
                return url
        time.sleep(_POLL_SECONDS)
    return None


def keep_currency(settings: Settings) -> None:
    """Refuse to call amounts of one currency by the name of another.

    Raises:
        SettingsError: the shop whose database is bound has taken orders in another one.
    """
    from services import orders  # noqa: PLC0415  # not before an address is taken

    kept = orders.currency_of_latest()
    if kept not in {None, settings.currency}:
        fault = f"orders have been placed in {kept}, and a shop keeps its currency"
        raise SettingsError([("ORDERLY_CURRENCY", fault)])
