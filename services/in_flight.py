"""Counts what each client has in flight in this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class InFlight(Generic[Key]):
    """The number of blocks that are running, by key."""

    def __init__(self) -> None:
        self._running: Counter[Key] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def enter(self, key: Key, limit: int) -> Iterator[bool]:
        """Yield whether the block may do its work: fewer than `limit` others with this key run."""
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
