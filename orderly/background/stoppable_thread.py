"""A thread of the background work, which is stopped with the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stoppable_thread(
    name: str, run: Callable[[threading.Event], None], *, shutdown_seconds: float
) -> Iterator[Callable[[], None]]:
    """Yield a function that starts `run` in a thread.

    After the block, set the event of `run`, and wait at most `shutdown_seconds` for its end.
    """
    stopped = threading.Event()
    thread = threading.Thread(target=run, args=(stopped,), name=name, daemon=True)
    try:
        yield thread.start
    finally:
        stopped.set()
        if thread.ident is not None:
            thread.join(shutdown_seconds)
