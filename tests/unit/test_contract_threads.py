"""The way to a worker thread and back, which is asyncio's own but for what that costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from orderly.contract.threads import HandlerThreads, in_thread

said: ContextVar[str] = ContextVar("said", default="nothing")


@pytest.fixture(params=[HandlerThreads, ThreadPoolExecutor])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Ours, and the one whose place it takes: all of this holds for both."""
    with request.param(4) as made:
        yield made


def test_a_result_comes_back(executor: Executor):
    assert asyncio.run(in_thread(executor, lambda: 7)) == 7


def test_an_error_comes_back(executor: Executor):
    def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        asyncio.run(in_thread(executor, fail))


def test_it_runs_elsewhere_in_the_context_of_the_caller(executor: Executor):
    async def ask() -> tuple[str, str]:
        said.set("hello")
        return await in_thread(executor, lambda: (said.get(), threading.current_thread().name))

    heard, where = asyncio.run(ask())

    assert heard == "hello"
    assert where != threading.current_thread().name


def test_as_many_run_at_once_as_there_are_threads(executor: Executor):
    together = threading.Barrier(4, timeout=10)

    async def ask() -> list[int]:
        return await asyncio.gather(*[in_thread(executor, together.wait) for _ in range(8)])

    assert sorted(asyncio.run(ask())) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_who_gives_up_waiting_harms_nobody(executor: Executor):
    going_on = threading.Event()

    async def ask() -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(executor, lambda: going_on.wait(10)), 0.01)
        going_on.set()
        return await in_thread(executor, lambda: 7)

    assert asyncio.run(ask()) == 7


def test_what_was_asked_for_is_done_before_the_end(executor: Executor):
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.01)
        done.append(number)

    answers = [executor.submit(work, number) for number in range(8)]
    executor.shutdown()

    assert sorted(done) == list(range(8))
    assert all(answer.done() for answer in answers)
    with pytest.raises(RuntimeError):
        executor.submit(work, 9)


def test_a_future_tells_the_error_too(executor: Executor):
    assert isinstance(executor.submit(_fail).exception(timeout=10), ZeroDivisionError)


def test_an_iterator_that_ends_does_not_leave_one_waiting():
    with HandlerThreads(1) as threads, pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(_within(10, threads, lambda: next(iter(()))))


def test_a_loop_that_is_closed_does_not_end_the_threads():
    going_on = threading.Event()
    with HandlerThreads(1) as threads:

        async def leave() -> None:
            with pytest.raises(TimeoutError):
                await _within(0.01, threads, lambda: going_on.wait(10))

        asyncio.run(leave())
        going_on.set()

        assert threads.submit(lambda: 7).result(timeout=10) == 7


async def _within(seconds: float, executor: Executor, function: Callable[[], Any]) -> Any:
    return await asyncio.wait_for(in_thread(executor, function), seconds)


def _fail() -> float:
    return 1 / 0
