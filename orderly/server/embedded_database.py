"""Starts the embedded database of a server, and restarts it; waits while its disk is full."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from orderly.embedded import EmbeddedDatabaseError, EmbeddedPostgreSQL
from orderly.embedded.disk_space import has_space, is_disk_full

_RETRY_SECONDS = 5.0
_POLL_SECONDS = 0.5


def start_when_disk_has_space(
    server: EmbeddedPostgreSQL, data_dir: Path, *, max_wait_seconds: float
) -> str:
    """Start the server, and return its URL; if the disk is full, retry.

    Raises:
        EmbeddedDatabaseError: the server cannot run; or the disk is still full after
            `max_wait_seconds`.
    """
    deadline = time.monotonic() + max_wait_seconds
    log = structlog.get_logger("orderly")
    is_waiting = False
    while True:
        try:
            url = server.start()
        except EmbeddedDatabaseError as error:
            if time.monotonic() >= deadline or not is_disk_full(data_dir, error):
                raise
            if not is_waiting:
                is_waiting = True
                log.warning(
                    "embedded_database_waits_for_disk_space",
                    reason=str(error),
                    seconds=max_wait_seconds,
                )
        else:
            if is_waiting:
                log.info("embedded_database_restarted")
            return url
        _wait_for_space(data_dir, deadline)


def _wait_for_space(data_dir: Path, deadline: float) -> None:
    """Wait at least once, since a quota can be exhausted while the disk has space."""
    retry_at = min(deadline, time.monotonic() + _RETRY_SECONDS)
    while time.monotonic() < retry_at or (time.monotonic() < deadline and not has_space(data_dir)):
        time.sleep(_POLL_SECONDS)


class KeepAlive:
    """Restarts a server whose process has ended. Call the object often."""

    def __init__(self, server: EmbeddedPostgreSQL, data_dir: Path, url: str) -> None:
        self._server = server
        self._data_dir = data_dir
        self._url = url
        self._is_waiting = False
        self._next_attempt = 0.0

    def __call__(self) -> bool:
        """Return False if the server cannot be restarted. While its disk is full, try again."""
        if self._server.is_alive():
            self._server.rotate_log()
            return True
        if self._is_waiting and (
            time.monotonic() < self._next_attempt or not has_space(self._data_dir)
        ):
            return True
        return self._restart()

    def _restart(self) -> bool:
        log = structlog.get_logger("orderly")
        if not self._is_waiting:
            log.error("embedded_database_died")
        self._server.stop()
        try:
            has_same_url = self._server.start() == self._url
        except EmbeddedDatabaseError as error:
            if not is_disk_full(self._data_dir, error):
                log.error("embedded_database_restart_failed", exc_info=error)
                return False
            if not self._is_waiting:
                log.error("embedded_database_waits_for_disk_space", reason=str(error))
            self._is_waiting = True
            self._next_attempt = time.monotonic() + _RETRY_SECONDS
            return True
        if self._is_waiting:
            log.info("embedded_database_restarted")
        self._is_waiting = False
        return has_same_url
