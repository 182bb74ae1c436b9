"""What each server process does beside its requests: learn what has changed, and tidy up.

In a thread of its own with a connection of its own, so that neither the event loop nor the threads
that answer requests ever wait for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from orderly.settings import Settings
from services import housekeeping, process, revocation
from services.process import configuration

_KEYS_EVERY_SECONDS = 1.0
_TIDY_EVERY_SECONDS = 60.0


class Watch:
    """The thread, from `start` to `stop`."""

    def __init__(self, settings: Settings, *, run_aside: Callable[[Callable[[], None]], object]):
        """Make one; `run_aside` runs a function in some thread that may take its time."""
        self._settings = settings
        self._run_aside = run_aside
        self._stopped = threading.Event()
        self._looked = threading.Event()
        self._failing: set[Callable[[], object]] = set()
        # Not all processes at the same moment
        now = time.monotonic()
        self._keys_due = now + _KEYS_EVERY_SECONDS
        self._tidy_due = now + random.uniform(0.5, 1) * _TIDY_EVERY_SECONDS  # noqa: S311
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self, patience: float = 2.0) -> None:
        """Begin, and wait a little for what there is to be known."""
        self._thread.start()
        self._looked.wait(patience)

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._attempt(revocation.refresh)
            self._looked.set()
            now = time.monotonic()
            if now >= self._keys_due:
                self._keys_due = now + _KEYS_EVERY_SECONDS
                self._attempt(self._reload_keys)
            if now >= self._tidy_due:
                self._tidy_due = now + _TIDY_EVERY_SECONDS
                self._run_aside(lambda: self._attempt(_tidy))
            self._stopped.wait(revocation.REFRESH_EVERY_SECONDS)

    def _attempt(self, work: Callable[[], object]) -> None:
        """Do something that may fail for a while; tell of the first failure only."""
        try:
            work()
        except Exception as error:  # whatever it is, the next round may do better
            if work not in self._failing:
                structlog.get_logger("orderly").error("watch_fails", exc_info=error)
            self._failing.add(work)
        else:
            self._failing.discard(work)

    def _reload_keys(self) -> None:
        """Take over keys that were rotated in the data directory."""
        known = configuration()
        signing, others = self._settings.signing_keys()
        if (signing, others) != (known.signing_key, known.other_signing_keys):
            process.replace_signing_keys(signing, others)


def _tidy() -> None:
    housekeeping.delete_expired()
