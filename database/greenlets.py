"""Runs synchronous functions in greenlets, so that they wait without blocking the event loop.

Handlers, services and psycopg2 are synchronous code. In a greenlet, such code does not block the
event loop while it waits for PostgreSQL: psycopg2's wait callback suspends the greenlet, and the
event loop resumes it when the socket is ready. Outside of a `GreenletRunner` (in threads, commands
and tests) the same code blocks its thread.

One rule keeps this safe: code in a greenlet never calls the event loop. While a greenlet runs,
the greenlet library has copied the C stack of the event loop to the heap, and libuv has pointers
into that stack. So a greenlet passes a function to `suspend`, and the event loop's own greenlet
calls the function.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
R = TypeVar("R")

# For how long a greenlet may iterate over rows before the event loop does other work
_SLICE_SECONDS = 0.005


class Closable(Protocol):
    """A resource on the event loop that must be closed before the loop is."""

    def close(self) -> None:
        """Release the resource."""


class GreenletRunner:
    """Runs functions in greenlets on the event loop. It does not limit the concurrency: callers do.

    Functions with the decorator `run_in_thread` run in the executor.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.resources: set[Closable] = set()
        self._running = 0
        self._all_done: asyncio.Future[None] | None = None

    async def run(self, function: Callable[[], R]) -> R:
        """Run a function and return its result.

        A function that has started runs to its end even if the caller is cancelled, as it would in
        a thread.
        """
        loop = asyncio.get_running_loop()
        if sys.platform == "win32":  # ProactorEventLoop has no add_reader()
            return await loop.run_in_executor(self.executor, copy_context().run, function)
        future: asyncio.Future[R] = loop.create_future()
        task = GreenletTask(function, self, loop, future)
        self._running += 1
        task.resume()
        try:
            return await future
        finally:
            # Break a reference cycle: the traceback of an exception refers to this frame, and these
            # variables refer to the exception.
            del future, task

    async def close(self) -> None:
        """Wait until all running functions have returned, and close all resources."""
        if self._running:
            self._all_done = asyncio.get_running_loop().create_future()
            await self._all_done
        for resource in list(self.resources):
            resource.close()

    def task_done(self) -> None:
        """Count a task that has ended."""
        self._running -= 1
        if self._all_done is not None and not self._running:
            self._all_done.set_result(None)


class ThreadRunner:
    """Runs functions in threads: the alternative to `GreenletRunner`, without greenlets."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, function: Callable[[], R]) -> R:
        """Run a function in a thread and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, copy_context().run, function)

    async def close(self) -> None:
        """Wait until all running functions have returned."""
        await asyncio.to_thread(self._executor.shutdown)


class GreenletTask(greenlet):
    """A greenlet that runs a function. It is suspended each time the function has to wait."""

    def __init__(
        self,
        function: Callable[[], Any],
        runner: GreenletRunner,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        super().__init__(function)
        self.gr_context = copy_context()
        self.runner = runner
        self.loop = loop
        self._future: asyncio.Future[Any] | None = future
        self._resumed_at = 0.0

    def resume(self, *values: Any) -> None:
        """Start the function, or resume it with the value that `suspend` returns.

        Only the event loop may call this.
        """
        self._resumed_at = time.perf_counter()
        switch: Callable[..., Any] = self.switch
        while True:
            try:
                # Returns when the function returns, or when it calls `suspend`.
                returned = switch(*values)
            except BaseException as error:
                self._set_exception(error)
                return
            if self.dead:
                self._set_result(returned)
                return
            schedule = returned
            try:
                schedule(self)
            except Exception as error:
                # Raise the error where the function called `suspend`.
                switch, values = self.throw, (error,)
            else:
                return

    def suspend(self, schedule: Callable[[GreenletTask], object]) -> Any:
        """Suspend this greenlet. Return the value with which the event loop resumes it.

        The event loop calls `schedule` with this task. `schedule` must arrange that the event loop
        later calls `resume`.
        """
        assert self.parent is not None  # noqa: S101  # only a thread's main greenlet has none
        return self.parent.switch(schedule)

    def yield_if_due(self) -> None:
        """Let the event loop do other work if this greenlet has been running for some time."""
        if time.perf_counter() - self._resumed_at > _SLICE_SECONDS:
            self.suspend(lambda task: task.loop.call_soon(task.resume))

    def _set_result(self, value: object) -> None:
        future = self._take_future()
        if future is not None:
            future.set_result(value)
        self.runner.task_done()

    def _set_exception(self, error: BaseException) -> None:
        future = self._take_future()
        if future is not None:
            future.set_exception(_for_future(error))
        self.runner.task_done()

    def _take_future(self) -> asyncio.Future[Any] | None:
        # The task must not keep the future: the future's exception refers to the task by its
        # traceback, so they would form a reference cycle.
        future, self._future = self._future, None
        return None if future is None or future.cancelled() else future


def _for_future(error: BaseException) -> BaseException:
    # A future cannot raise StopIteration into a coroutine (PEP 479).
    return RuntimeError("task raised StopIteration") if isinstance(error, StopIteration) else error


def current_task() -> GreenletTask | None:
    """Return the task that is running the caller; None if the caller may block its thread."""
    current = getcurrent()
    return current if isinstance(current, GreenletTask) else None


def run_in_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that it runs in a worker thread, and does not block the event loop.

    For code that is CPU-bound, or that waits for anything except PostgreSQL. If the caller is not
    in a greenlet on the event loop, the function runs in the caller's thread.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        task = current_task()
        if task is None:
            return function(*args, **kwargs)

        def call() -> R:
            try:
                return function(*args, **kwargs)
            except StopIteration as error:
                raise _for_future(error) from None

        call_in_context = partial(copy_context().run, call)

        def schedule(task: GreenletTask) -> None:
            future = task.loop.run_in_executor(task.runner.executor, call_in_context)
            future.add_done_callback(task.resume)

        future: asyncio.Future[R] = task.suspend(schedule)
        return future.result()

    return run


def in_time_slices(rows: Iterable[R]) -> Iterator[R]:
    """Iterate over rows; in a greenlet, let the event loop do other work every few milliseconds.

    For many rows that each need little time: the greenlet can yield only between two rows.
    """
    task = current_task()
    for row in rows:
        yield row
        if task is not None:
            task.yield_if_due()


def sleep(seconds: float) -> None:
    """Wait without blocking the event loop."""
    task = current_task()
    if task is None:
        time.sleep(seconds)
    else:
        task.suspend(lambda task: task.loop.call_later(seconds, task.resume))
