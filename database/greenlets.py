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

from greenlet import GreenletExit, getcurrent, greenlet

P = ParamSpec("P")
R = TypeVar("R")

# For how long a greenlet may iterate over rows before the event loop does other work
_SLICE_SECONDS = 0.005
# Checking the time after each row would take as long as converting a small row. A large row, such
# as an order with 100 line items, takes some 0.2 ms.
_ROWS_PER_CHECK = 8


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
        self._idle_greenlets: list[_ReusedGreenlet] = []
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
        self._idle_greenlets.clear()

    def take_greenlet(self, task: GreenletTask) -> _ReusedGreenlet:
        """Return a greenlet that runs the task when it is switched to."""
        taken = self._idle_greenlets.pop() if self._idle_greenlets else _ReusedGreenlet()
        taken.task = task
        taken.gr_context = copy_context()
        self._running += 1
        return taken

    def return_greenlet(self, returned: _ReusedGreenlet) -> None:
        """Keep the greenlet of a task that has ended."""
        returned.task = returned.gr_context = None
        self._idle_greenlets.append(returned)
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


class GreenletTask:
    """A function that runs in a greenlet. It is suspended each time the function has to wait."""

    def __init__(
        self,
        function: Callable[[], Any],
        runner: GreenletRunner,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        self.runner = runner
        self.loop = loop
        self._function = function
        self._future: asyncio.Future[Any] | None = future
        self._error: BaseException | None = None
        self._result: Any = None
        self._is_done = False
        self._resumed_at = 0.0
        self._greenlet = runner.take_greenlet(self)

    def run(self) -> None:
        """Call the function, and keep its result or exception. Runs in the greenlet."""
        try:
            self._result = self._function()
        except GreenletExit:  # the greenlet is garbage-collected
            raise
        except BaseException as error:
            self._error = error
        self._is_done = True

    def resume(self, *values: Any) -> None:
        """Start the function, or resume it with the value that `suspend` returns.

        Only the event loop may call this.
        """
        self._resumed_at = time.perf_counter()
        switch: Callable[..., Any] = self._greenlet.switch
        while True:
            # Returns when the function has ended, or when it calls `suspend`.
            schedule = switch(*values)
            if self._is_done:
                self._finish()
                return
            try:
                schedule(self)
            except Exception as error:
                # Raise the error where the function called `suspend`.
                switch, values = self._greenlet.throw, (error,)
            else:
                return

    def suspend(self, schedule: Callable[[GreenletTask], object]) -> Any:
        """Suspend this greenlet. Return the value with which the event loop resumes it.

        The event loop calls `schedule` with this task. `schedule` must arrange that the event loop
        later calls `resume`.
        """
        return self._greenlet.switch_to_event_loop(schedule)

    def yield_if_due(self) -> None:
        """Let the event loop do other work if this greenlet has been running for some time."""
        if time.perf_counter() - self._resumed_at > _SLICE_SECONDS:
            self.suspend(lambda task: task.loop.call_soon(task.resume))

    def _finish(self) -> None:
        self.runner.return_greenlet(self._greenlet)
        # This task must keep neither the exception nor the future: the exception refers to this
        # task by its traceback, so they would form a reference cycle.
        future, self._future = self._future, None
        error, self._error = self._error, None
        if future is None or future.cancelled():
            return
        if error is None:
            future.set_result(self._result)
        else:
            future.set_exception(_for_future(error))


class _ReusedGreenlet(greenlet):
    """A greenlet that runs one task after another.

    CPython maps 16 KiB of memory for the frames of each new greenlet, and unmaps them at its end.
    That takes longer than all other work for a task, so a greenlet runs many tasks.
    """

    task: GreenletTask | None = None

    def run(self) -> None:
        while True:
            if self.task is not None:
                self.task.run()
            self.switch_to_event_loop(None)

    def switch_to_event_loop(self, value: object) -> Any:
        """Suspend this greenlet, and pass a value to the greenlet of the event loop."""
        assert self.parent is not None  # noqa: S101  # only a thread's main greenlet has none
        return self.parent.switch(value)


def _for_future(error: BaseException) -> BaseException:
    # A future cannot raise StopIteration into a coroutine (PEP 479).
    return RuntimeError("task raised StopIteration") if isinstance(error, StopIteration) else error


def current_task() -> GreenletTask | None:
    """Return the task that is running the caller; None if the caller may block its thread."""
    current = getcurrent()
    return current.task if isinstance(current, _ReusedGreenlet) else None


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
    for number, row in enumerate(rows, start=1):
        yield row
        if task is not None and number % _ROWS_PER_CHECK == 0:
            task.yield_if_due()


def sleep(seconds: float) -> None:
    """Wait without blocking the event loop."""
    task = current_task()
    if task is None:
        time.sleep(seconds)
    else:
        task.suspend(lambda task: task.loop.call_later(seconds, task.resume))
