"""Admission control: limits how many requests run concurrently, and how long others may queue.

Without a time limit, a queue makes an overloaded server fail completely: every request waits until
its client has given up, and the server processes only such requests. So the time in the queue is
limited by CoDel (RFC 8289), as Ben Maurer adapts it to request queues in "Fail at Scale" (ACM Queue
13/8, 2015):

- If the queue was empty at some time within the last *interval*, this is only a burst: a request
  may wait for up to one interval.
- Otherwise the server is overloaded: a request may wait only for up to the *target*, a fifth of the
  interval.

Refusing a request costs CPU time too, but less before the request is authenticated and validated.
So an overloaded queue also refuses new requests immediately while it has more requests than the
server completes within half of the target (Little's law). docs/decisions/2026-11-27-overload.md has
the measurements.

Bulkheads: reads and writes each occupy at most three quarters of the slots, since writes may wait
for row locks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

# Runs a synchronous function without blocking the event loop, and returns its result.
Run = Callable[[Callable[[], Any]], Awaitable[Any]]

# IN_PROGRESS: more work for a request that has begun, such as the next chunk of a streamed
# response. It precedes all new requests.
_IN_PROGRESS, HIGH, NORMAL, LOW = range(4)
_PRIORITIES = 4
PRIORITIES: Mapping[str, int] = {"high": HIGH, "normal": NORMAL, "low": LOW}
# Methods of requests that change nothing (RFC 9110, section 9.2.1)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_INTERVAL_PER_TARGET = 5
_SWEEPS_PER_TARGET = 4
# A quarter of the slots is reserved: reads occupy at most three quarters, and so do writes.
_RESERVED_DIVISOR = 4
# The weight of the newest sample in a moving average.
_SMOOTHING = 0.2
_MIN_ELAPSED_SECONDS = 0.001
# A queue is full if processing it would take more than this part of the target.
_FULL_FRACTION = 0.5


class Load(NamedTuple):
    """How an operation is treated under load. The contract defines it."""

    priority: int = NORMAL
    is_write: bool = False


class Client(NamedTuple):
    """What is known of the client that waits for a response."""

    # In seconds, by the clock of `Slots`; infinity if there is no deadline.
    deadline: float = float("inf")
    is_connected: Callable[[], bool] | None = None

    def reason_to_skip(self, now: float, *, check_connection: bool) -> str | None:
        """Return why the client no longer waits for a response, or None if it may be waiting."""
        if self.deadline < now:
            return DEADLINE_PASSED
        if check_connection and self.is_connected is not None and not self.is_connected():
            return CLIENT_GONE
        return None


class Shed(Exception):  # noqa: N818  # says what happened to the request
    """The server is overloaded, or the client no longer waits. The request was not processed.

    `reason` is one of `REASONS`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


QUEUE_FULL, WAITED_TOO_LONG = "queue_full", "waited_too_long"
DEADLINE_PASSED, CLIENT_GONE = "deadline_passed", "client_gone"
REASONS = (QUEUE_FULL, WAITED_TOO_LONG, DEADLINE_PASSED, CLIENT_GONE)


class Slots:
    """At most `total` functions run at the same time, each by `run`. Others wait in a queue.

    `target` is in seconds. Only the event loop may call the methods.
    """

    def __init__(
        self,
        run: Run,
        total: int,
        *,
        target: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._free = total
        self._target = target
        self._clock = clock
        limit = max(1, total - max(1, total // _RESERVED_DIVISOR))
        self._reads, self._writes = _Queue(limit, total, target), _Queue(limit, total, target)
        self._sweep_timer: asyncio.TimerHandle | None = None
        # The number of requests that were not processed, by reason.
        self.shed: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """The number of functions that are running."""
        return self._reads.running + self._writes.running

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return self._reads.size + self._writes.size

    def check_capacity(self, load: Load) -> None:
        """Refuse a request that would probably wait for too long.

        Raises:
            Shed: with the reason `queue_full`.
        """
        if not (self._reads.size or self._writes.size):
            return
        now = self._clock()
        if self._queue(load).is_full(now, load.priority) or (
            load.priority == LOW and self._writes_need_cpu_time(now)
        ):
            self._shed(QUEUE_FULL)

    async def run(self, function: Callable[[], Any], load: Load, client: Client | None) -> Any:
        """Run a function as soon as there is a slot for it, and return its result.

        Without a client, the function is never refused and waits without a time limit: it belongs
        to a request that has begun, such as the next chunk of a streamed response.

        Raises:
            Shed: the function was not run.
        """
        queue = self._queue(load)
        if self._free and queue.running < queue.limit:
            started = self._clock()
            if client is not None:
                reason = client.reason_to_skip(started, check_connection=load.is_write)
                if reason is not None:
                    self._shed(reason)
            self._occupy(queue)
        else:
            await self._wait(queue, load, client)
            started = self._clock()
        try:
            return await self._run(function)
        finally:
            queue.record_end(self._clock() - started)
            self._release(queue)

    def _queue(self, load: Load) -> _Queue:
        return self._writes if load.is_write else self._reads

    def _writes_need_cpu_time(self, now: float) -> bool:
        """Return whether writes wait for CPU time rather than for row locks."""
        return self._writes.is_overloaded(now) and self._writes.mean_seconds < self._target

    def _shed(self, reason: str) -> NoReturn:
        self.shed[reason] += 1
        raise Shed(reason)

    def _occupy(self, queue: _Queue) -> None:
        self._free -= 1
        queue.running += 1

    def _release(self, queue: _Queue) -> None:
        self._free += 1
        queue.running -= 1
        if self._reads.size or self._writes.size:
            self._fill()

    async def _wait(self, queue: _Queue, load: Load, client: Client | None) -> None:
        loop = asyncio.get_running_loop()
        request = _QueuedRequest(load.priority, client, self._clock(), loop.create_future())
        queue.append(request)
        if self._sweep_timer is None:
            self._start_sweep(loop)
        try:
            reason = await request.outcome
        except asyncio.CancelledError:
            if request.outcome.cancelled():
                queue.discard(request)
            elif request.outcome.result() is None:  # _fill() has assigned a slot to it
                self._release(queue)
            raise
        if reason is not None:
            self._shed(reason)

    def _fill(self) -> None:
        """Assign the free slots to waiting requests: by priority, then writes before reads."""
        now = self._clock()
        for priority in range(_PRIORITIES):
            for queue in (self._writes, self._reads):
                while self._free and queue.running < queue.limit:
                    request = queue.pop(priority)
                    if request is None:
                        break
                    if not request.outcome.done():
                        reason = queue.reason_to_shed(request, now)
                        request.outcome.set_result(reason)
                        if reason is None:
                            self._occupy(queue)

    def _start_sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep_timer = loop.call_later(self._target / _SWEEPS_PER_TARGET, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse requests that have waited for too long."""
        now = self._clock()
        self._sweep_timer = None
        for queue in (self._reads, self._writes):
            queue.sweep(now)
        if self._reads.size or self._writes.size:
            self._start_sweep(loop)


class _QueuedRequest:
    """A request that waits for a slot. The outcome is None, or the reason why it was refused."""

    __slots__ = ("arrived_at", "client", "outcome", "priority")

    def __init__(
        self,
        priority: int,
        client: Client | None,
        arrived_at: float,
        outcome: asyncio.Future[str | None],
    ) -> None:
        self.priority = _IN_PROGRESS if client is None else priority
        self.client = client
        self.arrived_at = arrived_at
        self.outcome = outcome


class _Queue:
    """The reads, or the writes, that wait for a slot. At most `limit` of them run."""

    def __init__(self, limit: int, total: int, target: float) -> None:
        self.limit = limit
        self.running = 0
        self.size = 0
        # The moving average of the seconds for which a request occupies a slot
        self.mean_seconds = 0.0
        # A queue with fewer requests than there are slots is never full.
        self._min_full_length = total
        self._target = target
        self._interval = target * _INTERVAL_PER_TARGET
        self._deques: tuple[deque[_QueuedRequest], ...] = tuple(deque() for _ in range(_PRIORITIES))
        self._not_empty_since = 0.0
        # The number of requests completed since the last sweep
        self._completed_count = 0
        # The moving average of completed requests per second
        self._rate = 0.0
        self._swept_at = 0.0

    def append(self, request: _QueuedRequest) -> None:
        if not self.size:
            self._not_empty_since = self._swept_at = request.arrived_at
            self._completed_count = 0
        self.size += 1
        self._deques[request.priority].append(request)

    def discard(self, request: _QueuedRequest) -> None:
        with suppress(ValueError):
            self._deques[request.priority].remove(request)
            self.size -= 1

    def pop(self, priority: int) -> _QueuedRequest | None:
        """Remove and return the request that is next."""
        requests = self._deques[priority]
        if not requests:
            return None
        self.size -= 1
        return requests.popleft()

    def record_end(self, seconds: float) -> None:
        """Record that a request has ended, and for how many seconds it occupied a slot."""
        self._completed_count += 1
        self.mean_seconds += (seconds - self.mean_seconds) * _SMOOTHING

    def is_overloaded(self, now: float) -> bool:
        """Return whether the queue has not been empty for a whole interval."""
        return self.size > 0 and now - self._not_empty_since > self._interval

    def is_full(self, now: float, priority: int) -> bool:
        """Return whether a new request would probably wait for longer than the target."""
        if not self.is_overloaded(now):
            return False
        requests_ahead = sum(map(len, self._deques[: priority + 1]))
        return requests_ahead >= max(
            self._min_full_length, self._rate * self._target * _FULL_FRACTION
        )

    def reason_to_shed(self, request: _QueuedRequest, now: float) -> str | None:
        """Return why a waiting request must not be processed, or None."""
        if request.client is None:
            return None
        if request.arrived_at < self._earliest_arrival(now):
            return WAITED_TOO_LONG
        return request.client.reason_to_skip(now, check_connection=True)

    def sweep(self, now: float) -> None:
        """Refuse requests that have waited for too long; update the rate."""
        if not self.size:
            return
        elapsed = max(now - self._swept_at, _MIN_ELAPSED_SECONDS)
        self._rate += (self._completed_count / elapsed - self._rate) * _SMOOTHING
        self._completed_count, self._swept_at = 0, now
        earliest_arrival = self._earliest_arrival(now)
        for requests in self._deques[_IN_PROGRESS + 1 :]:
            while requests and requests[0].arrived_at < earliest_arrival:
                self.size -= 1
                outcome = requests.popleft().outcome
                if not outcome.done():
                    outcome.set_result(WAITED_TOO_LONG)

    def _earliest_arrival(self, now: float) -> float:
        """Return the earliest arrival time that a waiting request may have."""
        return now - (self._target if self.is_overloaded(now) else self._interval)
