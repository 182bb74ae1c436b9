"""Signal handlers that stop the server or a worker at any time, also during start and shutdown."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Handler = Callable[..., Any]


class StopSignals:
    """The signal handlers of a server process. While uvicorn runs, it replaces some of them.

    SIGTERM and Ctrl-C raise KeyboardInterrupt, so that everything that was started is stopped.
    SIGHUP calls `on_hang_up` if the process was started from a terminal: the terminal was closed.
    Without a terminal, SIGHUP makes a supervisor replace its processes; one process ignores it.
    """

    def __init__(self) -> None:
        self.has_terminal = sys.stdin is not None and sys.stdin.isatty()
        self.on_hang_up: Callable[[], None] = _interrupt

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Install the handlers while the block runs."""
        handlers: dict[int, Handler] = {signal.SIGINT: _interrupt, signal.SIGTERM: _interrupt}
        # nohup ignores SIGHUP, so that the process outlives the terminal.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handlers[signal.SIGHUP] = self._hang_up
        with installed(handlers):
            yield

    def _hang_up(self, *_signal: object) -> None:
        if self.has_terminal:
            self.on_hang_up()


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and Ctrl-C set, for work that checks the event.

    The second signal raises KeyboardInterrupt.
    """
    stopped = threading.Event()

    def stop(*_signal: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    with installed({signal.SIGINT: stop, signal.SIGTERM: stop}):
        yield stopped


@contextmanager
def installed(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """Install signal handlers while the block runs, then restore the previous ones."""
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(*_signal: object) -> None:
    raise KeyboardInterrupt
