"""What the server processes share with their caller: hooks and exit statuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STOPPED = 0  # after the requests in flight were finished
FAILED = 1
FORCED = 130  # a second Ctrl-C aborted the requests in flight


@dataclass(frozen=True, slots=True)
class ServerHooks:
    """Functions that the server calls in its main thread."""

    # Called once, when the server accepts requests.
    on_ready: Callable[[], None]
    # Called several times a second. The server stops and fails if it returns False.
    on_tick: Callable[[], bool]
