"""Limits the concurrent operations of this process for each key, such as a user or a provider."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class InFlight(Generic[Key]):
    """The number of operations that are running, for each key."""

    def __init__(self) -> None:
        self._running: Counter[Key] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def enter(self, key: Key, limit: int) -> Iterator[bool]:
        """Count one operation during the block, and yield True; yield False if `limit` are running.

        If it yields False, the block must not run the operation.
        """
        with self._lock:
            is_allowed = self._running[key] < limit
            self._running[key] += is_allowed
        try:
            yield is_allowed
        finally:
            with self._lock:
                self._running[key] -= is_allowed
                if not self._running[key]:
                    del self._running[key]
