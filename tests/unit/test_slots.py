"""Slots for requests: who waits, who is served first, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

import pytest

from orderly.http.slots import (
    CLIENT_GONE,
    DEADLINE_PASSED,
    HIGH,
    LOW,
    QUEUE_FULL,
    WAITED_TOO_LONG,
    Client,
    Load,
    Shed,
    Slots,
)

READ, WRITE = Load(), Load(is_write=True)
BROWSE, ORDER = Load(LOW), Load(HIGH, is_write=True)
TARGET = 0.02
INTERVAL = 5 * TARGET


class Shop:
    """Four slots, at most three for reads, and for writes. A request runs until `finish`."""

    def __init__(self, target: float = 100.0) -> None:
        self.now = 0.0
        self.slots = Slots(self._run, 4, target=target, clock=lambda: self.now)
        self.started: list[str] = []
        self._running: dict[str, asyncio.Future[None]] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def _run(self, function: Callable[[], Any]) -> Any:
        name: str = function()
        self.started.append(name)
        self._running[name] = asyncio.get_running_loop().create_future()
        await self._running[name]
        return name

    async def send(self, name: str, load: Load, client: Client | None = Client()) -> None:  # noqa: B008
        """Send a request; it runs or waits when this returns."""
        self._tasks[name] = asyncio.ensure_future(self.slots.run(lambda: name, load, client))
        # Not every test awaits every refusal.
        self._tasks[name].add_done_callback(lambda task: task.cancelled() or task.exception())
        await settle()

    async def finish(self, *names: str) -> None:
        """End running requests."""
        for name in names:
            self._running.pop(name).set_result(None)
            await settle()

    async def reason(self, name: str) -> str:
        """Return why a request was not processed."""
        with pytest.raises(Shed) as caught:
            await self._tasks[name]
        return caught.value.reason

    async def cancel(self, name: str) -> None:
        """Cancel a request."""
        self._tasks[name].cancel()
        await settle()


async def settle() -> None:
    """Let the event loop run everything that is due."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_requests_beyond_the_slots_wait_and_start_in_sequence():
    async def main() -> None:
        shop = Shop()
        for number in range(6):
            await shop.send(f"write {number}", WRITE)
        assert ["write 0", "write 1", "write 2"] == shop.started
        assert (3, 3) == (shop.slots.running, shop.slots.waiting)

        await shop.finish("write 1", "write 0")

        assert ["write 3", "write 4"] == shop.started[3:]
        assert (3, 1) == (shop.slots.running, shop.slots.waiting)

    run(main)


@pytest.mark.parametrize(("blocked", "other"), [(WRITE, READ), (READ, WRITE)])
def test_one_slot_is_left_for_reads_and_for_writes(blocked: Load, other: Load):
    async def main() -> None:
        shop = Shop()
        for number in range(20):
            await shop.send(f"blocked {number}", blocked)

        for number in range(5):
            await shop.send(f"other {number}", other)
            assert f"other {number}" == shop.started[-1]
            await shop.finish(f"other {number}")

    run(main)


def test_ordering_is_served_before_browsing():
    async def main() -> None:
        shop = Shop()
        for name, load in (("a", READ), ("b", READ), ("c", WRITE), ("d", WRITE)):
            await shop.send(name, load)
        for name, load in (("browse", BROWSE), ("read", READ), ("write", WRITE), ("order", ORDER)):
            await shop.send(name, load)

        for name in ("c", "d", "a", "b"):
            await shop.finish(name)

        assert ["order", "write", "read", "browse"] == shop.started[4:]

    run(main)


def test_while_the_queue_was_empty_recently_a_request_may_wait_for_an_interval():
    async def main() -> None:
        shop = Shop(target=TARGET)
        for number in range(4):
            await shop.send(f"{number}", WRITE)

        shop.now = INTERVAL * 0.9
        await shop.finish("0")
        assert "3" == shop.started[-1]

        await shop.send("4", WRITE)
        shop.now += INTERVAL * 1.1
        await shop.finish("1")

        assert WAITED_TOO_LONG == await shop.reason("4")

    run(main)


def test_a_request_that_waits_too_long_is_refused_even_if_no_slot_is_released():
    async def main() -> None:
        shop = Shop(target=TARGET)
        for number in range(4):
            await shop.send(f"{number}", WRITE)
        shop.now = INTERVAL * 1.1

        assert WAITED_TOO_LONG == await shop.reason("3")
        assert 0 == shop.slots.waiting
        assert {WAITED_TOO_LONG: 1} == shop.slots.shed

    run(main)


def test_an_overloaded_server_refuses_new_requests_at_once():
    async def main() -> None:
        shop = Shop(target=100)
        shop.slots.check_capacity(WRITE)
        for number in range(30):
            await shop.send(f"{number}", WRITE)
        shop.slots.check_capacity(WRITE)

        shop.now = 501

        with pytest.raises(Shed, match=QUEUE_FULL):
            shop.slots.check_capacity(WRITE)
        shop.slots.check_capacity(ORDER)  # nothing of its priority waits
        shop.slots.check_capacity(READ)  # there are free slots for it

    run(main)


def test_browsing_is_refused_while_orders_wait_for_cpu_time_but_not_while_they_wait_for_locks():
    async def main() -> None:
        shop = Shop(target=100)
        for number in range(3):
            await shop.send(f"slow {number}", ORDER)
        await shop.send("waits too long", ORDER)
        shop.now = 450
        for number in range(20):
            await shop.send(f"{number}", ORDER)
        shop.now = 501
        await shop.finish("slow 0", "slow 1")
        shop.slots.check_capacity(BROWSE)

        for number in range(10):
            await shop.finish(f"{number}")

        with pytest.raises(Shed, match=QUEUE_FULL):
            shop.slots.check_capacity(BROWSE)
        shop.slots.check_capacity(READ)

    run(main)


@pytest.mark.parametrize("slots_are_free", [True, False])
def test_no_work_begins_for_a_client_that_does_not_wait_any_more(slots_are_free: bool):
    async def main() -> None:
        shop = Shop()
        connected = True
        if not slots_are_free:
            for name in ("a", "b", "c"):
                await shop.send(name, WRITE)
        client = Client(inf, lambda: connected)
        await shop.send("late", WRITE, Client(1.0))
        await shop.send("gone", WRITE, client)
        shop.now = 2.0
        connected = False
        if slots_are_free:
            assert ["late", "gone"] == shop.started
            await shop.send("late", WRITE, Client(1.0))
            await shop.send("gone", WRITE, client)
        else:
            await shop.finish("a", "b")

        assert DEADLINE_PASSED == await shop.reason("late")
        assert CLIENT_GONE == await shop.reason("gone")
        await shop.send("next", WRITE)
        assert "next" == shop.started[-1]

    run(main)


def test_a_waiting_request_that_is_cancelled_never_starts():
    async def main() -> None:
        shop = Shop()
        for name in ("a", "b", "c", "cancelled", "next"):
            await shop.send(name, WRITE)

        await shop.cancel("cancelled")
        await shop.finish("a")

        assert "next" == shop.started[-1]
        assert (3, 0) == (shop.slots.running, shop.slots.waiting)

    run(main)


def test_a_request_that_is_cancelled_when_it_gets_a_slot_gives_it_to_the_next_one():
    async def main() -> None:
        shop = Shop()
        for name in ("a", "b", "c", "cancelled", "next"):
            await shop.send(name, WRITE)

        shop._running.pop("a").set_result(None)
        while shop.slots.waiting > 1:
            await asyncio.sleep(0)
        await shop.cancel("cancelled")

        assert "cancelled" not in shop.started
        assert "next" == shop.started[-1]

    run(main)


def test_a_response_that_has_begun_waits_for_as_long_as_necessary_and_comes_first():
    async def main() -> None:
        shop = Shop(target=TARGET)
        for name in ("a", "b", "c"):
            await shop.send(name, READ)
        await shop.send("begun", BROWSE, None)
        shop.now = 1000
        await asyncio.sleep(TARGET)
        await shop.send("high", Load(HIGH))

        await shop.finish("a")

        assert "begun" == shop.started[-1]

    run(main)
