"""Schedules password hashing fairly: between accounts, and between networks.

Hashing is CPU-bound, so only a few hashes run at a time. Who waits for a slot is served in the
order of the hashes that the account, and then the network, has used lately: the least first. So a
user who signs in once does not wait for clients that sign in again and again, also not for those on
the same network. (This is scheduling by least attained service, with a decay.)
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domain.errors import TooBusy

# The usage of an account or a network halves in this time.
_HALF_LIFE_SECONDS = 60.0
# How many accounts and networks the queue remembers. The one that was served longest ago is
# forgotten first.
_MAX_REMEMBERED = 4096
# One in four places is reserved for other networks than the one that uses the others.
_PLACES_PER_RESERVED = 4


class Client(NamedTuple):
    """For whom a password is hashed: the network of the request, and the account."""

    network: str
    account: str


class HashingQueue:
    """A limited number of slots for hashing, and of places to wait for a slot."""

    def __init__(
        self, slots: int, places: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free_slots = slots
        self._places = places
        self._places_per_network = max(1, places - places // _PLACES_PER_RESERVED)
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()
        self._usage = _Usage(clock)
        self._lock = threading.Lock()

    def require_place(self, client: Client) -> None:
        """Refuse early what `turn` would refuse now.

        Raises:
            TooBusy: all places are taken by clients that come first.
        """
        with self._lock:
            newcomer = self._newcomer(client)
            if not self._free_slots and self._surplus([*self._waiting, newcomer]) is newcomer:
                raise TooBusy

    @contextmanager
    def turn(self, client: Client) -> Iterator[None]:
        """Wait for a slot, and occupy it during the block.

        Raises:
            TooBusy: all places are taken by clients that come first.
        """
        with self._lock:
            waiting = self._newcomer(client)
            self._enqueue(waiting)
        waiting.decided.wait()
        if waiting.is_refused:
            raise TooBusy
        try:
            yield
        finally:
            with self._lock:
                self._free_slots += 1
                self._fill_slots()

    def _newcomer(self, client: Client) -> _Waiting:
        usage = (self._usage.of(client), self._usage.of(client.network))
        return _Waiting(client, (*usage, next(self._numbers)))

    def _enqueue(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._charge(waiting.client, 1)
        self._fill_slots()
        surplus = self._surplus(self._waiting)
        if surplus is not None:
            self._waiting.remove(surplus)
            self._charge(surplus.client, -1)
            surplus.is_refused = True
            surplus.decided.set()

    def _fill_slots(self) -> None:
        while self._free_slots and self._waiting:
            first = min(self._waiting, key=_rank)
            self._waiting.remove(first)
            self._free_slots -= 1
            first.decided.set()

    def _surplus(self, waiting: list[_Waiting]) -> _Waiting | None:
        """Return who must be refused, if there are more than places: who comes last.

        Only the last one in the list can cause a surplus.
        """
        network = waiting[-1].client.network if waiting else ""
        of_network = [one for one in waiting if one.client.network == network]
        if len(of_network) > self._places_per_network:
            return max(of_network, key=_rank)
        if len(waiting) > self._places:
            return max(waiting, key=_rank)
        return None

    def _charge(self, client: Client, hashes: int) -> None:
        self._usage.add(client, hashes)
        self._usage.add(client.network, hashes)


class _Waiting:
    """A thread that waits for a slot.

    `rank` is what its account and its network had used when it came, and its number. The lowest
    rank comes first.
    """

    def __init__(self, client: Client, rank: tuple[float, float, int]) -> None:
        self.client = client
        self.rank = rank
        self.decided = threading.Event()
        self.is_refused = False


def _rank(waiting: _Waiting) -> tuple[float, float, int]:
    return waiting.rank


class _Usage:
    """How many hashes each account and each network has used lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # The usage at a time, in the order of these times.
        self._used: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def of(self, key: Hashable) -> float:
        used, at = self._used.get(key, (0.0, 0.0))
        return used * 0.5 ** ((self._clock() - at) / _HALF_LIFE_SECONDS) if used else 0.0

    def add(self, key: Hashable, hashes: int) -> None:
        self._used[key] = (max(0.0, self.of(key) + hashes), self._clock())
        self._used.move_to_end(key)
        if len(self._used) > _MAX_REMEMBERED:
            self._used.popitem(last=False)
