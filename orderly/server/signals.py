"""How the server process is asked to stop, from its first moment to its last."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopping:
    """Hears the signals while `heeded`, except where uvicorn has taken some of them over.

    SIGTERM and Ctrl-C raise KeyboardInterrupt, which unwinds what has been started. SIGHUP does
    what `on_hang_up` says if this process was started from a terminal, which is gone then.
    Elsewhere SIGHUP asks for new workers by custom: a process that has none goes on.
    """

    def __init__(self) -> None:
        self.has_terminal = sys.stdin is not None and sys.stdin.isatty()
        self.on_hang_up: Callable[[], None] = _interrupt

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Hear the signals while the block runs."""
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: _interrupt,
            signal.SIGTERM: _interrupt,
        }
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handlers[signal.SIGHUP] = self._hang_up  # unless nohup asks to outlive the terminal
        before = {number: signal.signal(number, one) for number, one in handlers.items()}
        try:
            yield
        finally:
            for number, one in before.items():
                signal.signal(number, one)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        if self.has_terminal:
            self.on_hang_up()


@contextmanager
def asked() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and Ctrl-C set, for work that ends by itself when it is set.

    A second of them raises KeyboardInterrupt.
    """
    stopped = threading.Event()

    def stop(*_signal: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, one in before.items():
            signal.signal(number, one)


def _interrupt(*_signal: object) -> None:
    raise KeyboardInterrupt
