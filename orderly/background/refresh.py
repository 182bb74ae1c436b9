"""Periodic work of each server process: refresh caches, check clock and files, delete expired rows.

It runs in a thread with its own database connection, so that neither the event loop nor a request
waits for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from database.use import measure
from orderly.background.clock_check import ClockCheck
from orderly.background.open_files_check import OpenFilesCheck
from orderly.settings import Settings
from services import housekeeping, process, revocation
from services.process import configuration

_RELOAD_KEYS_EVERY_SECONDS = 1.0
_CHECK_EVERY_SECONDS = 5.0
_DELETE_EXPIRED_EVERY_SECONDS = 60.0


class BackgroundRefresh:
    """A thread that refreshes revoked sessions and signing keys, and deletes expired rows.

    It also compares the clocks of this machine and of the database server, and the number of open
    files with its limit.
    """

    def __init__(
        self, settings: Settings, *, run_in_thread: Callable[[Callable[[], None]], object]
    ) -> None:
        """Create the thread; `run_in_thread` runs slower work in another thread."""
        self._settings = settings
        self._run_in_thread = run_in_thread
        self._stopped = threading.Event()
        self._refreshed = threading.Event()
        self._failing: set[Callable[[], object]] = set()
        now = time.monotonic()
        self._checks: list[Callable[[], None]] = [OpenFilesCheck(), ClockCheck()]
        self._check_at = now
        self._reload_keys_at = now + _RELOAD_KEYS_EVERY_SECONDS
        # Jitter, so that several processes do not delete at the same time.
        first_delay = random.uniform(0.5, 1) * _DELETE_EXPIRED_EVERY_SECONDS  # noqa: S311
        self._delete_expired_at = now + first_delay
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self, timeout: float = 2.0) -> None:
        """Start the thread; wait until its first refresh is done, at most `timeout` seconds."""
        self._thread.start()
        self._refreshed.wait(timeout)

    def stop(self) -> None:
        """Stop the thread."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        measure("refresh")
        while not self._stopped.is_set():
            self._attempt(revocation.refresh)
            self._refreshed.set()
            now = time.monotonic()
            if now >= self._reload_keys_at:
                self._reload_keys_at = now + _RELOAD_KEYS_EVERY_SECONDS
                self._attempt(self._reload_keys)
            if now >= self._check_at:
                self._check_at = now + _CHECK_EVERY_SECONDS
                for check in self._checks:
                    self._attempt(check)
            if now >= self._delete_expired_at:
                self._delete_expired_at = now + _DELETE_EXPIRED_EVERY_SECONDS
                self._run_in_thread(lambda: self._attempt(housekeeping.delete_expired))
            self._stopped.wait(revocation.REFRESH_EVERY_SECONDS)

    def _attempt(self, work: Callable[[], object]) -> None:
        """Call a function. If it fails several times in succession, log only the first failure."""
        try:
            work()
        except Exception as error:  # any error: the next attempt may succeed
            if work not in self._failing:
                structlog.get_logger("orderly").error("refresh_failed", exc_info=error)
            self._failing.add(work)
        else:
            self._failing.discard(work)

    def _reload_keys(self) -> None:
        """Load the signing keys again, since they may have been rotated in the data directory."""
        current = configuration()
        signing, others = self._settings.signing_keys()
        if (signing, others) != (current.signing_key, current.other_signing_keys):
            process.replace_signing_keys(signing, others)
