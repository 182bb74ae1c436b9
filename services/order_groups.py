"""Groups orders that wait for the stock of the same products.

An order locks the stock row of each product until its commit is on the disk. So orders of one
popular product are placed one after the other, with one commit each. Here, an order waits in the
process while another order of exactly the same products is being placed. All orders that wait are
then placed in one transaction: they share its commit, and only one of them waits for locks of other
sessions. Orders of different products never wait for each other here, only for row locks.

Each order of a group is placed by the same statement as an order alone, so it gets the same result.
An order that has waited here for some time is placed alone: another program may have locked the
product, and then each order shall have its own time limit.
docs/decisions/2026-11-28-grouped-orders.md has the measurements.

Only tasks in greenlets are grouped: they run on one thread, so no lock is needed here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from database.greenlets import GreenletTask, current_task

Request = TypeVar("Request")
Result = TypeVar("Result")

# A group keeps its stock rows locked for about half a millisecond for each order.
MAX_ORDERS = 32
# Much longer than a group takes
MAX_WAIT_SECONDS = 0.3


class OrderGroups(Generic[Request, Result]):
    """Places requests together that wait for the same products.

    `place` places one or more requests in one transaction, and returns their results in sequence.
    """

    def __init__(self, place: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
        self._place = place
        # The products of each group that is being placed, with the requests that wait for its end
        self._waiting: dict[frozenset[UUID], list[_Entry[Request, Result]]] = {}

    def place(self, request: Request, product_ids: Collection[UUID]) -> Result:
        """Place a request, perhaps together with others; return its result.

        Raises: what `place` raises. All requests of a group get the same error.
        """
        task = current_task()
        if task is None:
            return self._place([request])[0]
        entry = _Entry[Request, Result](request, task)
        products = frozenset(product_ids)
        waiting = self._waiting.get(products)
        if waiting is None:
            self._waiting[products] = []
            entry.group = [entry]
        elif not entry.wait(waiting):
            return self._place([request])[0]
        if entry.group:
            self._lead(entry.group, products)
        if entry.error is not None:
            raise entry.error
        result: Result = entry.result
        return result

    def _lead(self, group: list[_Entry[Request, Result]], products: frozenset[UUID]) -> None:
        """Place a group; resume its other members, and the first request of the next group."""
        leader, *others = group
        try:
            results = self._place([entry.request for entry in group])
        except Exception as error:
            for entry in group:
                # Each task adds its own traceback.
                entry.error = copy.copy(error)
        else:
            for entry, result in zip(group, results, strict=True):
                entry.result = result
        # The next group begins before the responses to this one are made.
        resumed = [*self._next_leader(products), *others]
        if resumed:
            leader.task.suspend(
                lambda task: _resume_soon([*(entry.task for entry in resumed), task])
            )

    def _next_leader(self, products: frozenset[UUID]) -> list[_Entry[Request, Result]]:
        """Form the next group; return its first request, or nothing if no request waits."""
        waiting = self._waiting[products]
        if not waiting:
            del self._waiting[products]
            return []
        leader = waiting[0]
        leader.group = waiting[:MAX_ORDERS]
        del waiting[:MAX_ORDERS]
        return [leader]


class _Entry(Generic[Request, Result]):
    """A request, and the task that waits for its result."""

    def __init__(self, request: Request, task: GreenletTask) -> None:
        self.request = request
        self.task = task
        # If this request leads a group: all requests of the group, with this one first.
        self.group: list[_Entry[Request, Result]] = []
        self.error: Exception | None = None
        self.result: Any = None

    def wait(self, waiting: list[_Entry[Request, Result]]) -> bool:
        """Wait until this request has a result, an error, or a group to lead.

        Return False if it was not taken from the list of waiting requests in time.
        """
        waiting.append(self)
        timer = self.task.loop.call_later(MAX_WAIT_SECONDS, self._leave, waiting)
        taken: bool = self.task.suspend(lambda _task: None)
        timer.cancel()
        return taken

    def _leave(self, waiting: list[_Entry[Request, Result]]) -> None:
        if self in waiting:
            waiting.remove(self)
            self.task.resume(False)  # the value that `suspend` returns


def _resume_soon(tasks: Sequence[GreenletTask]) -> None:
    for task in tasks:
        task.loop.call_soon(task.resume, True)  # the value that `suspend` returns
