"""The readiness check: each process runs one at a time, and concurrent requests share it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from domain.errors import NotReady
from services import health, process

# While the database hangs, a check takes up to 12 seconds. Clients get a response earlier.
_RESPONSE_SECONDS = 3.0


class Readiness:
    """Runs checks in one thread. Requests that arrive while a check runs share its result.

    `check` raises `NotReady` while this process cannot serve requests.
    """

    def __init__(self, check: Callable[[], None] = health.ready) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._requested: SimpleQueue[Future[None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._running: Future[None] | None = None
        self._respond_until = 0.0

    async def ready(self) -> None:
        """Return if this process is ready.

        Raises:
            NotReady: it is not, or the check has been running for 3 seconds.
        """
        if process.is_stopping():  # also while a check waits for the database
            raise NotReady(health.STOPPING)
        result = asyncio.wrap_future(self._result())
        seconds = self._respond_until - time.monotonic()
        try:
            await asyncio.wait_for(asyncio.shield(result), max(seconds, 0))
        except TimeoutError:
            raise NotReady(health.DATABASE_UNAVAILABLE) from None

    def is_ready(self) -> bool:
        """Return whether this process is ready; wait for the check in the caller's thread."""
        try:
            self._result().result()
        except NotReady:
            return False
        return True

    def _result(self) -> Future[None]:
        """Return the result of the check that is running, or of a new one."""
        with self._lock:
            if self._thread is None:
                # One for all checks: `Thread.start` blocks the event loop until the new thread
                # runs, which takes milliseconds on a busy machine.
                thread = threading.Thread(target=self._run, name="readiness", daemon=True)
                thread.start()
                self._thread = thread
            if self._running is None or self._running.done():
                self._running = Future()
                self._respond_until = time.monotonic() + _RESPONSE_SECONDS
                self._requested.put(self._running)
            return self._running

    def _run(self) -> None:
        while True:
            result = self._requested.get()
            try:
                self._check()
            except Exception as error:  # any error: it is raised for each client
                result.set_exception(error)
            else:
                result.set_result(None)
