"""Work on the event loop: it waits for PostgreSQL without keeping anybody else waiting."""

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

import httpx2
import pytest
import uvloop
from starlette.applications import Starlette

from database import binding, greenlets
from database.binding import database
from database.greenlets import GreenletRunner, run_in_thread
from database.transactions import autocommit, transaction
from domain.errors import Unavailable
from orderly.factory import connexion_app
from tests.support.database import Sql, autocommit_scalar, backend_pid, scalar, unresponsive_server

CALLER: ContextVar[str] = ContextVar("CALLER", default="nobody")


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Run a coroutine function that is given a bridge for so many at once; then close both."""

    def run(main: Callable[[GreenletRunner], Any], *, at_once: int = 10) -> Any:
        async def bridged() -> Any:
            with ThreadPoolExecutor(at_once) as threads:
                crossing = GreenletRunner(at_once, threads)
                try:
                    return await main(crossing)
                finally:
                    await crossing.close()

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(bridged())

    return run


@pytest.fixture
def small(database_url: str) -> Iterator[None]:
    """Bind a pool whose limits are soon reached."""
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


def test_what_work_returns_and_raises_comes_back(loop):
    async def main(on: GreenletRunner) -> tuple[Any, Any, Any]:
        def fail() -> None:
            autocommit_scalar("SELECT 1")
            raise KeyError("why")

        returned = await on.run(
            lambda: autocommit_scalar("SELECT 40") + autocommit_scalar("SELECT 2")
        )
        raised = await asyncio.gather(on.run(fail), return_exceptions=True)
        stopped = await asyncio.gather(on.run(lambda: next(iter(()))), return_exceptions=True)
        return returned, raised[0], stopped[0]

    returned, raised, stopped = loop(main)

    assert 42 == returned
    assert "KeyError('why')" == repr(raised)
    assert isinstance(stopped, RuntimeError)


def test_failures_are_let_go_of_without_the_garbage_collector(loop):
    class FailureError(Exception):
        pass

    def fail() -> None:
        raise FailureError

    async def main(on: GreenletRunner) -> list[Any]:
        for _ in range(5):
            with suppress(FailureError):
                await on.run(fail)
        return [one for one in gc.get_objects() if isinstance(one, FailureError | greenlets.Task)]

    gc.collect()
    gc.disable()
    try:
        assert not loop(main)
    finally:
        gc.enable()


def test_work_that_waits_keeps_nobody_waiting(loop):
    async def main(on: GreenletRunner) -> set[int]:
        both = threading.current_thread()

        def meet(number: int) -> int:
            # Each goes on only when the other has begun: one after the other they never would.
            assert threading.current_thread() is both
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
            return set(await asyncio.gather(*(on.run(partial(meet, n)) for n in (1, 2))))

    assert {1, 2} == loop(main)


def test_each_piece_of_work_has_its_own_connection_and_transaction(loop, sql: Sql):
    sql("CREATE TABLE IF NOT EXISTS scratch (n integer)")

    @transaction
    def write(number: int, fails: bool) -> tuple[int, int, int]:
        mine = scalar("SELECT pg_backend_pid()")
        scalar("INSERT INTO scratch VALUES (%s) RETURNING n", number)
        depth = database.transaction_depth()
        greenlets.sleep(0.001)
        with database.atomic():
            again = scalar("SELECT pg_backend_pid() FROM pg_sleep(0.002)")
        assert mine == again
        seen = scalar("SELECT count(*) FROM scratch WHERE n = %s", number)
        if fails:
            raise ValueError
        return mine, depth, seen

    async def main(on: GreenletRunner) -> list[Any]:
        work = [on.run(partial(write, n, n % 2 == 0)) for n in range(20)]
        return await asyncio.gather(*work, return_exceptions=True)

    try:
        outcomes = loop(main)

        assert [(1, 1)] * 10 == [one[1:] for one in outcomes[1::2]]
        assert all(isinstance(one, ValueError) for one in outcomes[::2])
        assert [(n,) for n in range(1, 20, 2)] == sorted(sql("SELECT n FROM scratch"))
        assert database.is_closed()
    finally:
        sql("DROP TABLE scratch")


def test_work_sees_the_context_it_was_begun_in_and_keeps_changes_to_itself(loop):
    async def main(on: GreenletRunner) -> list[str]:
        def work() -> str:
            before = CALLER.get()
            CALLER.set("work")
            autocommit_scalar()
            return before + " " + CALLER.get() + " " + run_in_thread(CALLER.get)()

        async def called_by(name: str) -> str:
            CALLER.set(name)
            told = await on.run(work)
            return f"{told} {CALLER.get()}"

        return list(await asyncio.gather(called_by("ada"), called_by("bob")))

    assert ["ada work work ada", "bob work work bob"] == loop(main)


def test_no_more_work_than_may_be_is_begun_at_once_and_the_rest_in_order(loop):
    begun, most, now = [], [0], [0]

    def work(number: int) -> None:
        begun.append(number)
        now[0] += 1
        most[0] = max(most[0], now[0])
        autocommit_scalar("SELECT pg_sleep(0.001) IS NULL")
        now[0] -= 1

    async def main(on: GreenletRunner) -> None:
        await asyncio.gather(*(on.run(partial(work, number)) for number in range(50)))

    loop(main, at_once=3)

    assert list(range(50)) == begun
    assert 3 == most[0]


def test_work_whose_caller_gave_up_goes_on_to_its_end_and_is_waited_for(loop, sql: Sql):
    sql("CREATE TABLE IF NOT EXISTS scratch (n integer)")

    @transaction
    def write() -> None:
        scalar("SELECT pg_sleep(0.05) IS NULL")
        scalar("INSERT INTO scratch VALUES (1) RETURNING n")

    async def main(on: GreenletRunner) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await on.run(write)

    try:
        loop(main)

        assert [(1,)] == sql("SELECT n FROM scratch")
    finally:
        sql("DROP TABLE scratch")


def test_work_that_has_not_begun_is_not_when_its_caller_gives_up(loop):
    """Or a stop would wait for all that is in line, though nobody is any more."""
    begun = []

    async def main(on: GreenletRunner) -> Any:
        first = asyncio.ensure_future(
            on.run(partial(autocommit_scalar, "SELECT 1 FROM pg_sleep(0.01)"))
        )
        others = [asyncio.ensure_future(on.run(partial(begun.append, n))) for n in range(3)]
        await asyncio.sleep(0)
        others[0].cancel()
        others[2].cancel()
        await asyncio.gather(first, *others, return_exceptions=True)
        return await on.run(autocommit_scalar)

    assert 1 == loop(main, at_once=1)
    assert [1] == begun


def test_what_keeps_a_core_busy_is_done_aside(loop):
    on_the_loop = threading.Event()

    @run_in_thread
    def slow() -> str:
        assert on_the_loop.wait(10)  # for ever, were the event loop waiting for this
        return threading.current_thread().name

    async def main(on: GreenletRunner) -> tuple[Any, Any]:
        going_on = asyncio.ensure_future(on.run(slow))
        await asyncio.sleep(0)
        on_the_loop.set()
        failures = await asyncio.gather(
            on.run(run_in_thread(partial(int, "x"))),
            on.run(run_in_thread(partial(next, iter(())))),
            return_exceptions=True,
        )
        return await going_on, failures

    name, (failure, stopped) = loop(main)

    assert name != threading.main_thread().name
    assert isinstance(failure, ValueError)
    assert isinstance(stopped, RuntimeError)
    assert threading.main_thread().name == slow()


def file_of_threads() -> tuple[Iterator[bytes], int, dict[str, str]]:
    """Answer which threads a file is written by: its handler's, and that of its one piece."""
    of_handler = threading.current_thread().name.encode()
    return (threading.current_thread().name.encode() + b" " + of_handler for _ in "x"), 200, {}


def test_a_file_is_read_and_written_aside(loop):
    """The first rows as well, which a handler asks for before it can answer."""
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

    async def main(on: GreenletRunner) -> str:
        app = connexion_app(contract, other_routes=Starlette(), run=on.run)
        wire = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=wire, base_url="http://shop") as client:
            return (await client.get("/file")).text

    assert threading.main_thread().name not in loop(main)


@pytest.mark.usefixtures("small")
def test_a_server_that_does_not_answer_in_time_is_given_up_and_others_go_on(loop, sql: Sql):
    def stuck() -> int:
        return autocommit_scalar("SELECT pg_sleep(5)")

    async def main(on: GreenletRunner) -> tuple[Any, list[int]]:
        waiting = asyncio.ensure_future(on.run(stuck))
        others = [await on.run(partial(autocommit_scalar, f"SELECT {n}")) for n in range(20)]
        return (await asyncio.gather(waiting, return_exceptions=True))[0], others

    failure, others = loop(main)

    assert list(range(20)) == others
    assert isinstance(failure, Unavailable)


def test_a_server_that_never_answers_keeps_nobody_else_waiting(loop, database_url: str):
    with unresponsive_server() as url:
        binding.bind(url, max_connections=3, connect_timeout=0.3)

        async def main(on: GreenletRunner) -> tuple[list[bool], Any]:
            connecting = [asyncio.ensure_future(on.run(autocommit_scalar)) for _ in range(3)]
            await asyncio.sleep(0.01)
            over = [one.done() for one in connecting]
            return over, await asyncio.gather(*connecting, return_exceptions=True)

        over_at_once, failures = loop(main)
    binding.bind(database_url)

    assert [False] * 3 == over_at_once
    assert [Unavailable] * 3 == [type(one) for one in failures]


@pytest.mark.usefixtures("small")
def test_an_answer_that_never_comes_ends_the_connection(loop, sql: Sql):
    """The client's own limit: the server does not get to say anything any more."""

    @autocommit
    def stopped() -> Any:
        os.kill(scalar("SELECT pg_backend_pid()"), 19)  # SIGSTOP
        database.connection().time_limit = 0.2
        return scalar()

    pid = []

    @autocommit
    def remember() -> None:
        pid.append(scalar("SELECT pg_backend_pid()"))

    async def main(on: GreenletRunner) -> tuple[Any, Any]:
        await on.run(remember)
        failure = (await asyncio.gather(on.run(stopped), return_exceptions=True))[0]
        after = await on.run(backend_pid)
        return failure, after

    try:
        failure, after = loop(main)
    finally:
        os.kill(pid[0], 18)  # SIGCONT

    assert isinstance(failure, Unavailable)
    assert after != pid[0]


def test_connections_that_are_lost_are_replaced(loop, sql: Sql):
    async def main(on: GreenletRunner) -> tuple[list[int], Any, int]:
        idle = await on.run(backend_pid)
        sql("SELECT pg_terminate_backend(%s)", idle)
        while sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", idle):
            await asyncio.sleep(0.01)
        next_one = await on.run(backend_pid)
        busy = asyncio.ensure_future(on.run(partial(autocommit_scalar, "SELECT pg_sleep(60)")))
        while not sql(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query ~ 'sleep'", next_one
        ):
            await asyncio.sleep(0.01)
        sql("SELECT pg_terminate_backend(%s)", next_one)
        failure = (await asyncio.gather(busy, return_exceptions=True))[0]
        return [idle, next_one], failure, await on.run(backend_pid)

    pids, failure, last = loop(main)

    assert 3 == len({*pids, last})
    assert isinstance(failure, Unavailable)


def test_lost_connections_are_watched_no_longer(loop, sql: Sql):
    """A watch that went on would keep a core busy, and its descriptor open."""

    async def main(on: GreenletRunner) -> list[int]:
        counts = []
        for _ in range(5):
            pids = await asyncio.gather(*(on.run(backend_pid) for _ in range(5)))
            assert on.resources
            for pid in set(pids):
                sql("SELECT pg_terminate_backend(%s, 5000)", pid)
            while on.resources:
                await asyncio.sleep(0.01)
            counts.append(len(list(Path("/proc/self/fd").iterdir())))
        return counts

    counts = loop(main)

    assert max(counts[1:]) <= counts[0]


@pytest.mark.usefixtures("small")
def test_a_connection_that_is_reset_is_noticed_at_once(loop, sql: Sql):
    """Its server has said farewell, and has not heard what it was asked: two faults at once."""

    async def main(on: GreenletRunner) -> Any:
        pid = await on.run(backend_pid)
        os.kill(pid, 19)  # SIGSTOP
        asked = asyncio.ensure_future(on.run(autocommit_scalar))
        await asyncio.sleep(0)
        sql("SELECT pg_terminate_backend(%s)", pid)
        os.kill(pid, 18)  # SIGCONT
        sql("SELECT pg_terminate_backend(%s, 5000)", pid)  # which waits, and the event loop too
        failure = (await asyncio.gather(asked, return_exceptions=True))[0]
        assert not on.resources
        return failure

    failure = loop(main)

    assert isinstance(failure, Unavailable)
    assert "did not respond within" not in str(failure.__cause__)


@pytest.mark.usefixtures("small")
def test_work_waits_for_a_connection_but_not_for_ever(loop, database_url: str):
    held = []

    def hold(seconds: float) -> str:
        @autocommit
        def work() -> None:
            held.append(1)
            greenlets.sleep(seconds)

        try:
            work()
        except Unavailable:
            return "none came free"
        return "had one"

    async def main(on: GreenletRunner) -> tuple[list[str], list[str]]:
        briefly = await asyncio.gather(*(on.run(partial(hold, 0.05)) for _ in range(6)))
        for_long = await asyncio.gather(*(on.run(partial(hold, 0.6)) for _ in range(4)))
        return list(briefly), list(for_long)

    briefly, for_long = loop(main)

    assert ["had one"] * 6 == briefly
    assert ["had one", "had one", "had one", "none came free"] == for_long
