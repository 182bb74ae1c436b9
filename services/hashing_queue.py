"""Schedules password hashing fairly between accounts, and between networks.

Hashing is CPU-bound, so only a few hashes run at a time; other threads wait in a queue. The thread
whose account has used the fewest hashes recently is served first; among equal accounts, the one
whose network has used the fewest. So a user who signs in once does not wait behind clients that
sign in repeatedly, even if they are on the same network. (This is least-attained-service
scheduling, with exponential decay of the usage.)
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domain.errors import PasswordHashingBusy

# The usage of an account or a network halves in this time.
_HALF_LIFE_SECONDS = 60.0
# The maximum number of accounts and networks whose usage is stored. The least recently updated one
# is evicted first.
_MAX_TRACKED = 4096
# A quarter (1 / 4) of the queue is reserved for other networks: one network can occupy at most
# three quarters.
_RESERVED_DIVISOR = 4


class Client(NamedTuple):
    """The network of the request for which a password is hashed, and the account."""

    network: str
    account: str


class HashingQueue:
    """At most `slots` hashes run at a time, and at most `max_waiting` threads wait for a slot."""

    def __init__(
        self, slots: int, max_waiting: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free_slots = slots
        self._max_waiting = max_waiting
        self._max_waiting_per_network = max(1, max_waiting - max_waiting // _RESERVED_DIVISOR)
        self._waiters: list[_Waiter] = []
        self._sequence = itertools.count()
        self._usage = _Usage(clock)
        self._lock = threading.Lock()

    def require_capacity(self, client: Client) -> None:
        """Check early whether `slot` would refuse this client now.

        Raises:
            PasswordHashingBusy: the queue is full, and this client would rank last in it.
        """
        with self._lock:
            waiter = self._new_waiter(client)
            if not self._free_slots and self._find_refused([*self._waiters, waiter]) is waiter:
                raise PasswordHashingBusy

    @contextmanager
    def slot(self, client: Client) -> Iterator[None]:
        """Wait for a slot, and occupy it during the block.

        Raises:
            PasswordHashingBusy: the queue is full, and this client ranks last in it. The queue is
                also full for a network that occupies three quarters of it.
        """
        with self._lock:
            waiter = self._new_waiter(client)
            self._enqueue(waiter)
        waiter.decided.wait()
        if waiter.is_refused:
            raise PasswordHashingBusy
        try:
            yield
        finally:
            with self._lock:
                self._free_slots += 1
                self._fill_slots()

    def _new_waiter(self, client: Client) -> _Waiter:
        usage = (self._usage.of(client), self._usage.of(client.network))
        return _Waiter(client, (*usage, next(self._sequence)))

    def _enqueue(self, waiter: _Waiter) -> None:
        self._waiters.append(waiter)
        self._add_usage(waiter.client, 1)
        self._fill_slots()
        refused = self._find_refused(self._waiters)
        if refused is not None:
            self._waiters.remove(refused)
            self._add_usage(refused.client, -1)
            refused.is_refused = True
            refused.decided.set()

    def _fill_slots(self) -> None:
        while self._free_slots and self._waiters:
            first = min(self._waiters, key=_rank)
            self._waiters.remove(first)
            self._free_slots -= 1
            first.decided.set()

    def _find_refused(self, waiters: list[_Waiter]) -> _Waiter | None:
        """Return the waiter to refuse, which is the one with the highest rank; None if all fit.

        It is enough to check the network of the waiter that was added last.
        """
        network = waiters[-1].client.network if waiters else ""
        of_network = [waiter for waiter in waiters if waiter.client.network == network]
        if len(of_network) > self._max_waiting_per_network:
            return max(of_network, key=_rank)
        if len(waiters) > self._max_waiting:
            return max(waiters, key=_rank)
        return None

    def _add_usage(self, client: Client, hashes: int) -> None:
        self._usage.add(client, hashes)
        self._usage.add(client.network, hashes)


class _Waiter:
    """A thread that waits for a slot; the thread with the lowest rank is served first.

    `rank` is the usage of its account, the usage of its network (both from when the thread was
    added to the queue), and a sequence number.
    """

    def __init__(self, client: Client, rank: tuple[float, float, int]) -> None:
        self.client = client
        self.rank = rank
        self.decided = threading.Event()  # set when it gets a slot or is refused
        self.is_refused = False


def _rank(waiter: _Waiter) -> tuple[float, float, int]:
    return waiter.rank


class _Usage:
    """How many hashes each account and each network has used recently."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Key -> (the usage at a time, that time), least recently updated first.
        self._used: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def of(self, key: Hashable) -> float:
        used, at = self._used.get(key, (0.0, 0.0))
        return used * 0.5 ** ((self._clock() - at) / _HALF_LIFE_SECONDS) if used else 0.0

    def add(self, key: Hashable, hashes: int) -> None:
        self._used[key] = (max(0.0, self.of(key) + hashes), self._clock())
        self._used.move_to_end(key)
        if len(self._used) > _MAX_TRACKED:
            self._used.popitem(last=False)
