"""Lets plain functions wait in the event loop, where each would else need a thread to wait in.

A function runs in a greenlet. Where it has to wait, it hands what it waits for to the event loop,
which goes on with others and comes back to it: psycopg2 has its wait callback for this. What is not
run by a `Bridge`, in threads, commands and tests, waits as ever, so the same code serves both.

One rule keeps it sound: work never calls the event loop. While a greenlet runs, the C stack of the
loop is put aside, and libuv has pointers into it. So what is to be done there is handed over.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
R = TypeVar("R")


class Ending(Protocol):
    """Something on the event loop that has to be ended with it."""

    def end(self) -> None:
        """End it."""


class Bridge:
    """Runs work on the event loop, at most `at_once` pieces of it; the others wait their turn.

    `threads` are for what keeps a core busy: see `aside`.
    """

    def __init__(self, at_once: int, threads: Executor) -> None:
        self.threads = threads
        self.watches: set[Ending] = set()
        self._at_once = at_once
        self._running = 0
        self._queue: deque[Work] = deque()
        self._idle: asyncio.Future[None] | None = None

    async def run(self, function: Callable[[], R]) -> R:
        """Carry out a function and return what it returns.

        Once begun it goes on to its end, even if the one who waits for it is cancelled, as in a
        thread.
        """
        loop = asyncio.get_running_loop()
        if sys.platform == "win32":  # whose event loop watches no sockets
            return await loop.run_in_executor(self.threads, copy_context().run, function)
        done: asyncio.Future[R] = loop.create_future()
        work = Work(function, self, loop, done)
        if self._running < self._at_once:
            self._running += 1
            work.go_on()
        else:
            self._queue.append(work)
        try:
            return await done
        finally:
            del done, work  # an error keeps this frame, which would keep the error

    async def close(self) -> None:
        """Wait until all work is over."""
        if self._running:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        for watch in list(self.watches):
            watch.end()

    def over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the next piece of work begin, as one has ended."""
        while self._queue:
            following = self._queue.popleft()
            if following.is_awaited():
                loop.call_soon(following.go_on)
                return
        self._running -= 1
        if self._idle is not None and not self._running:
            self._idle.set_result(None)


class Work(greenlet):
    """A piece of work: goes on until it waits for something, or is over."""

    def __init__(
        self,
        function: Callable[[], Any],
        bridge: Bridge,
        loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[Any],
    ) -> None:
        super().__init__(function)
        self.gr_context = copy_context()
        self.bridge = bridge
        self.loop = loop
        self._done: asyncio.Future[Any] | None = done

    def is_awaited(self) -> bool:
        """Tell whether somebody waits for its outcome."""
        return self._done is not None and not self._done.cancelled()

    def go_on(self, *told: Any) -> None:
        """Go on, with what the work has waited for; to be called by the event loop alone."""
        resume: Callable[..., Any] = self.switch
        while True:
            try:
                answer = resume(*told)
            except BaseException as error:
                self._end(error, raised=True)
                return
            if self.dead:
                self._end(answer)
                return
            try:
                answer(self)
            except Exception as error:
                resume, told = self.throw, (error,)  # it cannot be waited for
            else:
                return

    def wait(self, begin: Callable[[Work], object]) -> Any:
        """Hand over what will have this work go on, wait, and return what it is told then."""
        assert self.parent is not None  # noqa: S101  # only a thread's first greenlet has none
        return self.parent.switch(begin)

    def _end(self, answer: Any, *, raised: bool = False) -> None:
        # Let go of, or an error would keep this, and be kept by it, until the garbage is collected.
        done, self._done = self._done, None
        if done is not None and not done.cancelled():
            if raised:
                done.set_exception(_raisable(answer))
            else:
                done.set_result(answer)
        self.bridge.over(self.loop)


def _raisable(error: BaseException) -> BaseException:
    # As in a generator (PEP 479): a future that ended so would never wake anybody.
    return RuntimeError("work raised StopIteration") if isinstance(error, StopIteration) else error


def current_work() -> Work | None:
    """Return the work on the event loop that the caller is part of: it must never block."""
    here = getcurrent()
    return here if isinstance(here, Work) else None


def aside(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function run in a thread where work on the event loop calls it.

    For what keeps a core busy, or waits for something else than PostgreSQL.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        work = current_work()
        if work is None:
            return function(*args, **kwargs)

        def call() -> R:
            try:
                return function(*args, **kwargs)
            except StopIteration as error:
                raise _raisable(error) from None

        call_there = partial(copy_context().run, call)

        def begin(work: Work) -> None:
            work.loop.run_in_executor(work.bridge.threads, call_there).add_done_callback(work.go_on)

        future: asyncio.Future[R] = work.wait(begin)
        return future.result()

    return run


def sleep(seconds: float) -> None:
    """Let so much time pass."""
    work = current_work()
    if work is None:
        time.sleep(seconds)
    else:
        work.wait(lambda work: work.loop.call_later(seconds, work.go_on))
