"""Provides the database of the settings: an external PostgreSQL or the embedded one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psycopg2
import structlog

from domain.errors import Unavailable
from orderly.http.tracebacks import summarize
from orderly.settings import Settings, SettingsError

_START_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_RETRY_SECONDS = 0.5
# For concurrent commands, and for the connections that PostgreSQL reserves for superusers.
_SPARE_CONNECTIONS = 40


def _always_alive() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ProvidedDatabase:
    """A running database."""

    # For the role that serves requests.
    url: str
    # For the role that owns the tables and applies migrations. None: it is the role of `url`.
    owner_url: str | None = None
    # Restarts an embedded server whose process has ended. Returns False if that fails; while the
    # disk is full, it returns True and tries again.
    keep_alive: Callable[[], bool] = _always_alive
    # Replaces an embedded database with an empty one. None: an external database is never emptied.
    recreate: Callable[[], None] | None = None
    # The system account that an embedded server runs as, if it is not the user of this process.
    account: str | None = None


@contextmanager
def provide_database(
    settings: Settings, *, may_be_running: bool = False, wait_for_disk_seconds: float = 0
) -> Iterator[ProvidedDatabase]:
    """Provide the database of the settings while the block runs.

    With `may_be_running`, use an embedded server that another process runs, so that a command
    works while `orderly serve` runs. If the disk of an embedded server is full, retry the start for
    `wait_for_disk_seconds`.

    Raises:
        EmbeddedDatabaseError: the embedded server cannot run, or already runs in another process
            and not `may_be_running`.
    """
    if settings.database_url is not None:
        yield ProvidedDatabase(settings.database_url, settings.database_owner_url)
        return
    # Imported here, because it cannot be imported on a system without an embedded PostgreSQL.
    from orderly.embedded import (  # noqa: PLC0415
        DataDirectoryInUseError,
        EmbeddedPostgreSQL,
        running_runtime_url,
    )
    from orderly.server.embedded_database import (  # noqa: PLC0415
        KeepAlive,
        start_when_disk_has_space,
    )

    server = EmbeddedPostgreSQL(
        settings.data_dir,
        account=settings.database_system_user,
        options={"max_connections": str(_max_connections(settings)), **_log_options(settings)},
    )
    try:
        owner_url = start_when_disk_has_space(
            server, settings.data_dir, max_wait_seconds=wait_for_disk_seconds
        )
    except DataDirectoryInUseError:
        running_owner_url = _wait_for_running_server(settings.data_dir) if may_be_running else None
        if running_owner_url is None:
            raise
        runtime_url = running_runtime_url(settings.data_dir) or running_owner_url
        yield ProvidedDatabase(runtime_url, running_owner_url)
        return
    try:
        yield ProvidedDatabase(
            server.runtime_url,
            owner_url,
            keep_alive=KeepAlive(server, settings.data_dir, owner_url),
            recreate=server.recreate_database,
            account=server.account,
        )
    finally:
        server.stop()


def _max_connections(settings: Settings) -> int:
    # A server process has a connection per thread and one for its background refresh. While a
    # reload replaces a process, there is one process more.
    return (settings.workers + 1) * (settings.threads + 1) + _SPARE_CONNECTIONS


def _log_options(settings: Settings) -> dict[str, str]:
    """Return the options of PostgreSQL that log slow statements, and the plans of slow queries."""
    options = {}
    if settings.postgresql_log_statements_ms is not None:
        options["log_min_duration_statement"] = str(settings.postgresql_log_statements_ms)
    if settings.postgresql_log_plans_ms is not None:
        options["session_preload_libraries"] = "auto_explain"
        options["auto_explain.log_min_duration"] = str(settings.postgresql_log_plans_ms)
        options["auto_explain.log_parameter_max_length"] = "0"
    return options


def _wait_for_running_server(data_dir: Path) -> str | None:
    """Wait until the server that another process runs accepts connections; return the owner's URL.

    Return None if it does not in time.
    """
    from orderly.embedded import running_url  # noqa: PLC0415  # see provide_database()

    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        url = running_url(data_dir)
        if url is not None:
            try:
                psycopg2.connect(url, connect_timeout=5).close()
            except psycopg2.OperationalError:
                pass  # the server is starting or stopping
            else:
                return url
        time.sleep(_POLL_SECONDS)
    return None


def wait_for_database(settings: Settings, stopped: Event | None = None) -> None:
    """Wait until the bound database responds, at most `settings.database_wait_seconds`.

    An embedded database already runs. Returns early if `stopped` is set.

    Raises:
        Unavailable: it did not respond in time.
    """
    if settings.database_url is None:
        return
    from database import server_state  # noqa: PLC0415  # slow: import after binding the socket

    log = structlog.get_logger("orderly")
    stopped = stopped or Event()
    deadline = time.monotonic() + settings.database_wait_seconds
    is_waiting = False
    while True:
        try:
            server_state.check()
        except Unavailable as error:
            if time.monotonic() >= deadline:
                raise
            if not is_waiting:
                is_waiting = True
                log.warning(
                    "waiting_for_database",
                    reason=summarize(error),
                    seconds=settings.database_wait_seconds,
                )
        else:
            if is_waiting:
                log.info("database_available")
            return
        if stopped.wait(_RETRY_SECONDS):
            return


def check_currency(settings: Settings) -> None:
    """Check that the currency of the settings is the currency of the shop's existing orders.

    Raises:
        SettingsError: the orders in the bound database have another currency.
    """
    from services import orders  # noqa: PLC0415  # slow: import after binding the socket

    used = orders.currency_of_latest()
    if used not in {None, settings.currency}:
        message = f"The shop has orders in {used}, so its currency cannot change."
        raise SettingsError([("ORDERLY_CURRENCY", message)])
