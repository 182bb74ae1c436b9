"""The worker threads in which handlers wait for PostgreSQL, and the way there and back.

asyncio's own way, `run_in_executor`, makes two futures, a condition and several locks for each call
and chains them; this one makes a future and wakes the event loop once. With many requests at once
that is a quarter of the CPU for the hop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class HandlerThreads(Executor):
    """So many threads, started when there is first something to do."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads: list[threading.Thread] = []
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, function: Callable[[], R]) -> R:
        """Call a function in one of the threads, in the caller's context; return what it does."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        context = copy_context()

        def work() -> None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(function)
            except BaseException as raised:  # whatever it is, it is the caller's
                error = raised
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, answer, result, error)

        self._put(work)
        return await answer

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call a function in one of the threads, for those who do not wait in an event loop."""
        answer: Future[R] = Future()

        def work() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(fn(*args, **kwargs))
            except BaseException as error:  # whatever it is, it is the caller's
                answer.set_exception(error)

        self._put(work)
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and end the threads once they have done what they were given."""
        del cancel_futures  # what was asked for is done
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _put(self, work: Callable[[], None]) -> None:
        if not self._threads or self._closed:
            self._start()
        self._work.put(work)

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the threads have ended")
            for number in range(len(self._threads), self._count):
                name = f"handler_{number}"
                thread = threading.Thread(target=_work_off, args=[self._work], name=name)
                thread.daemon = True  # one who forgets to shut them down can end all the same
                self._threads.append(thread)
                thread.start()


async def in_thread(executor: Executor | None, function: Callable[[], R]) -> R:
    """Call a function in a thread of an executor, or of the event loop's own where it is None."""
    if isinstance(executor, HandlerThreads):
        return await executor.run(function)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, copy_context().run, function)


def _settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():  # cancelled: the client has gone
        return
    if error is None:
        answer.set_result(result)
    elif isinstance(error, StopIteration):  # which no future takes
        answer.set_exception(RuntimeError("StopIteration was raised"))
    else:
        answer.set_exception(error)


def _work_off(work: SimpleQueue[Callable[[], None] | None]) -> None:
    while (one := work.get()) is not None:
        one()
        del one  # and with it what it answers, while this waits for the next
