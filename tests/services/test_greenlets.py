"""Greenlets on the event loop: a greenlet that waits for PostgreSQL does not block the others."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import uvloop
from starlette.routing import Router

from database import binding, greenlets
from database.binding import database
from database.greenlets import GreenletRunner, run_in_thread
from database.transactions import autocommit, transaction
from domain.errors import Unavailable
from orderly.factory import connexion_app
from orderly.http.slots import Slots
from tests.support.database import Sql, autocommit_scalar, backend_pid, scalar, unresponsive_server


@pytest.fixture(autouse=True)
def _as_owner(as_owner: None) -> None:
    """Use the owner's role: tests create tables of their own."""
    del as_owner


CALLER: ContextVar[str] = ContextVar("CALLER", default="nobody")


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Return a function that runs a coroutine function with a GreenletRunner, and closes it."""

    def run(main: Callable[[GreenletRunner], Any]) -> Any:
        async def run_with_runner() -> Any:
            with ThreadPoolExecutor(10) as threads:
                runner = GreenletRunner(threads)
                try:
                    return await main(runner)
                finally:
                    await runner.close()

        with asyncio.Runner(loop_factory=request.param) as asyncio_runner:
            return asyncio_runner.run(run_with_runner())

    return run


@pytest.fixture
def short_timeouts(database_url: str) -> Iterator[None]:
    """Bind a pool of three connections with short timeouts."""
    binding.bind(
        database_url,
        max_connections=3,
        checkout_timeout=0.3,
        connect_timeout=1,
        statement_timeout=1,
        lock_timeout=0.5,
    )
    yield
    binding.close()


def test_run_returns_and_raises_what_the_function_does(loop):
    async def main(runner: GreenletRunner) -> tuple[Any, Any, Any]:
        def fail() -> None:
            autocommit_scalar("SELECT 1")
            raise KeyError("why")

        returned = await runner.run(
            lambda: autocommit_scalar("SELECT 40") + autocommit_scalar("SELECT 2")
        )
        raised = await asyncio.gather(runner.run(fail), return_exceptions=True)
        stopped = await asyncio.gather(runner.run(lambda: next(iter(()))), return_exceptions=True)
        return returned, raised[0], stopped[0]

    returned, raised, stopped = loop(main)

    assert 42 == returned
    assert "KeyError('why')" == repr(raised)
    assert isinstance(stopped, RuntimeError)


def test_failed_tasks_are_freed_by_reference_counting(loop):
    class FailureError(Exception):
        pass

    def fail() -> None:
        raise FailureError

    async def main(runner: GreenletRunner) -> list[Any]:
        for _ in range(5):
            with suppress(FailureError):
                await runner.run(fail)
        return [
            object_
            for object_ in gc.get_objects()
            if isinstance(object_, FailureError | greenlets.GreenletTask)
        ]

    gc.collect()
    gc.disable()
    try:
        assert not loop(main)
    finally:
        gc.enable()


def test_two_greenlets_can_wait_for_each_other_in_one_thread(loop):
    async def main(runner: GreenletRunner) -> set[int]:
        thread = threading.current_thread()

        def meet(number: int) -> int:
            # Each greenlet continues only after the other has started: one by one, they would hang.
            assert threading.current_thread() is thread
            autocommit_scalar(f"SELECT pg_advisory_lock_shared({number}) IS NULL")
            deadline = time.monotonic() + 10
            while (
                autocommit_scalar(
                    "SELECT count(DISTINCT objid) FROM pg_locks WHERE locktype = 'advisory'"
                )
                < 2
            ):
                assert time.monotonic() < deadline
            return number

        async with asyncio.timeout(20):
            return set(await asyncio.gather(*(runner.run(partial(meet, n)) for n in (1, 2))))

    assert {1, 2} == loop(main)


def test_each_greenlet_has_its_own_connection_and_transaction(loop, sql: Sql):
    sql("CREATE TABLE IF NOT EXISTS scratch (n integer)")

    @transaction
    def write(number: int, fails: bool) -> tuple[int, int, int]:
        backend = scalar("SELECT pg_backend_pid()")
        scalar("INSERT INTO scratch VALUES (%s) RETURNING n", number)
        depth = database.transaction_depth()
        greenlets.sleep(0.001)
        with database.atomic():
            backend_after_wait = scalar("SELECT pg_backend_pid() FROM pg_sleep(0.002)")
        assert backend == backend_after_wait
        visible = scalar("SELECT count(*) FROM scratch WHERE n = %s", number)
        if fails:
            raise ValueError
        return backend, depth, visible

    async def main(runner: GreenletRunner) -> list[Any]:
        writes = [runner.run(partial(write, n, n % 2 == 0)) for n in range(20)]
        return await asyncio.gather(*writes, return_exceptions=True)

    try:
        outcomes = loop(main)

        assert [(1, 1)] * 10 == [outcome[1:] for outcome in outcomes[1::2]]
        assert all(isinstance(outcome, ValueError) for outcome in outcomes[::2])
        assert [(n,) for n in range(1, 20, 2)] == sorted(sql("SELECT n FROM scratch"))
        assert database.is_closed()
    finally:
        sql("DROP TABLE scratch")


def test_a_greenlet_has_a_copy_of_its_callers_context_variables(loop):
    async def main(runner: GreenletRunner) -> list[str]:
        def work() -> str:
            before = CALLER.get()
            CALLER.set("work")
            autocommit_scalar()
            return before + " " + CALLER.get() + " " + run_in_thread(CALLER.get)()

        async def called_by(name: str) -> str:
            CALLER.set(name)
            values = await runner.run(work)
            return f"{values} {CALLER.get()}"

        return list(await asyncio.gather(called_by("ada"), called_by("bob")))

    assert ["ada work work ada", "bob work work bob"] == loop(main)


def test_a_greenlet_whose_caller_was_cancelled_finishes_before_close_returns(loop, sql: Sql):
    sql("CREATE TABLE IF NOT EXISTS scratch (n integer)")

    @transaction
    def write() -> None:
        scalar("SELECT pg_sleep(0.05) IS NULL")
        scalar("INSERT INTO scratch VALUES (1) RETURNING n")

    async def main(runner: GreenletRunner) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await runner.run(write)

    try:
        loop(main)

        assert [(1,)] == sql("SELECT n FROM scratch")
    finally:
        sql("DROP TABLE scratch")


def test_run_in_thread_runs_cpu_bound_work_in_another_thread(loop):
    loop_is_free = threading.Event()

    @run_in_thread
    def slow() -> str:
        assert loop_is_free.wait(10)  # would time out if this blocked the event loop
        return threading.current_thread().name

    async def main(runner: GreenletRunner) -> tuple[Any, Any]:
        running = asyncio.ensure_future(runner.run(slow))
        await asyncio.sleep(0)
        loop_is_free.set()
        failures = await asyncio.gather(
            runner.run(run_in_thread(partial(int, "x"))),
            runner.run(run_in_thread(partial(next, iter(())))),
            return_exceptions=True,
        )
        return await running, failures

    name, (failure, stopped) = loop(main)

    assert name != threading.main_thread().name
    assert isinstance(failure, ValueError)
    assert isinstance(stopped, RuntimeError)
    assert threading.main_thread().name == slow()


def file_of_threads() -> tuple[Iterator[bytes], int, dict[str, str]]:
    """Respond with the names of the threads that ran the handler and produced the chunk."""
    handler_thread = threading.current_thread().name.encode()
    return (threading.current_thread().name.encode() + b" " + handler_thread for _ in "x"), 200, {}


def test_a_streaming_response_is_produced_in_another_thread(loop):
    """The handler runs in that thread too, since it reads the first rows before it responds."""
    operation = {
        "operationId": "file_of_threads",
        "x-openapi-router-controller": __name__,
        "responses": {"200": {"description": "x", "content": {"text/csv": {}}}},
    }
    contract = {
        "openapi": "3.0.3",
        "info": {"title": "x", "version": "1"},
        "paths": {"/file": {"get": operation}},
    }

    async def main(runner: GreenletRunner) -> str:
        app = connexion_app(contract, other_routes=Router(), slots=Slots(runner.run, 10, target=1))
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as client:
            return (await client.get("/file")).text

    assert threading.main_thread().name not in loop(main)


@pytest.mark.usefixtures("short_timeouts")
def test_a_statement_timeout_in_one_greenlet_does_not_affect_the_others(loop, sql: Sql):
    def run_too_long() -> int:
        return autocommit_scalar("SELECT pg_sleep(5)")

    async def main(runner: GreenletRunner) -> tuple[Any, list[int]]:
        waiting = asyncio.ensure_future(runner.run(run_too_long))
        others = [await runner.run(partial(autocommit_scalar, f"SELECT {n}")) for n in range(20)]
        return (await asyncio.gather(waiting, return_exceptions=True))[0], others

    failure, others = loop(main)

    assert list(range(20)) == others
    assert isinstance(failure, Unavailable)


def test_connecting_to_an_unresponsive_server_does_not_block_the_event_loop(
    loop, database_url: str
):
    with unresponsive_server() as url:
        binding.bind(url, max_connections=3, connect_timeout=0.3)

        async def main(runner: GreenletRunner) -> tuple[list[bool], Any]:
            connecting = [asyncio.ensure_future(runner.run(autocommit_scalar)) for _ in range(3)]
            await asyncio.sleep(0.01)
            done = [future.done() for future in connecting]
            return done, await asyncio.gather(*connecting, return_exceptions=True)

        done_immediately, failures = loop(main)
    binding.bind(database_url)

    assert [False] * 3 == done_immediately
    assert [Unavailable] * 3 == [type(failure) for failure in failures]


@pytest.mark.usefixtures("short_timeouts")
def test_a_backend_that_stops_responding_is_disconnected_after_the_time_limit(loop, sql: Sql):
    """The client's time limit applies, since a stopped server cannot cancel the statement."""

    @autocommit
    def stop_backend() -> Any:
        os.kill(scalar("SELECT pg_backend_pid()"), 19)  # SIGSTOP
        database.connection().time_limit = 0.2
        return scalar()

    pid = []

    @autocommit
    def record_pid() -> None:
        pid.append(scalar("SELECT pg_backend_pid()"))

    async def main(runner: GreenletRunner) -> tuple[Any, Any]:
        await runner.run(record_pid)
        failure = (await asyncio.gather(runner.run(stop_backend), return_exceptions=True))[0]
        after = await runner.run(backend_pid)
        return failure, after

    try:
        failure, after = loop(main)
    finally:
        os.kill(pid[0], 18)  # SIGCONT

    assert isinstance(failure, Unavailable)
    assert after != pid[0]


def test_terminated_connections_are_replaced(loop, sql: Sql):
    async def main(runner: GreenletRunner) -> tuple[list[int], Any, int]:
        idle = await runner.run(backend_pid)
        sql("SELECT pg_terminate_backend(%s)", idle)
        while sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", idle):
            await asyncio.sleep(0.01)
        second = await runner.run(backend_pid)
        busy = asyncio.ensure_future(runner.run(partial(autocommit_scalar, "SELECT pg_sleep(60)")))
        while not sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query ~ 'sleep'", second):
            await asyncio.sleep(0.01)
        sql("SELECT pg_terminate_backend(%s)", second)
        failure = (await asyncio.gather(busy, return_exceptions=True))[0]
        return [idle, second], failure, await runner.run(backend_pid)

    pids, failure, last = loop(main)

    assert 3 == len({*pids, last})
    assert isinstance(failure, Unavailable)


def test_terminated_connections_are_no_longer_polled(loop, sql: Sql):
    """A poll handle that stayed open would keep the CPU busy and leak a file descriptor."""

    async def main(runner: GreenletRunner) -> list[int]:
        counts = []
        for _ in range(5):
            pids = await asyncio.gather(*(runner.run(backend_pid) for _ in range(5)))
            assert runner.resources
            for pid in set(pids):
                sql("SELECT pg_terminate_backend(%s, 5000)", pid)
            while runner.resources:
                await asyncio.sleep(0.01)
            counts.append(len(list(Path("/proc/self/fd").iterdir())))
        return counts

    counts = loop(main)

    assert max(counts[1:]) <= counts[0]


@pytest.mark.usefixtures("short_timeouts")
def test_a_reset_connection_is_noticed_immediately(loop, sql: Sql):
    """The server sends its shutdown notice and closes the socket before it reads the query."""

    async def main(runner: GreenletRunner) -> Any:
        pid = await runner.run(backend_pid)
        os.kill(pid, 19)  # SIGSTOP
        query = asyncio.ensure_future(runner.run(autocommit_scalar))
        await asyncio.sleep(0)
        sql("SELECT pg_terminate_backend(%s)", pid)
        os.kill(pid, 18)  # SIGCONT
        sql(
            "SELECT pg_terminate_backend(%s, 5000)", pid
        )  # blocks the event loop until the backend is gone
        failure = (await asyncio.gather(query, return_exceptions=True))[0]
        assert not runner.resources
        return failure

    failure = loop(main)

    assert isinstance(failure, Unavailable)
    assert "did not respond within" not in str(failure.__cause__)


@pytest.mark.usefixtures("short_timeouts")
def test_a_greenlet_waits_for_a_connection_until_the_checkout_timeout(loop, database_url: str):
    held = []

    def hold(seconds: float) -> str:
        @autocommit
        def work() -> None:
            held.append(1)
            greenlets.sleep(seconds)

        try:
            work()
        except Unavailable:
            return "timed out"
        return "got one"

    async def main(runner: GreenletRunner) -> tuple[list[str], list[str]]:
        briefly = await asyncio.gather(*(runner.run(partial(hold, 0.05)) for _ in range(6)))
        for_long = await asyncio.gather(*(runner.run(partial(hold, 0.6)) for _ in range(4)))
        return list(briefly), list(for_long)

    briefly, for_long = loop(main)

    assert ["got one"] * 6 == briefly
    assert ["got one", "got one", "got one", "timed out"] == for_long


def test_greenlets_wait_if_the_server_allows_fewer_connections_than_the_pool(
    loop, database_url: str, sql: Sql
):
    sql("CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2")
    few = urlsplit(database_url)._replace(netloc="few:few@").geturl()
    binding.bind(few, max_connections=8, checkout_timeout=30)

    async def main(runner: GreenletRunner) -> list[int]:
        call = partial(autocommit_scalar, "SELECT 1 FROM pg_sleep(0.03)")
        return list(await asyncio.gather(*(runner.run(call) for _ in range(8))))

    try:
        assert [1] * 8 == loop(main)
    finally:
        binding.close()
        sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'few'")
        sql("DROP ROLE few")
