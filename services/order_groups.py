"""Groups orders that wait for the stock of the same product.

An order locks the stock row of each product until its commit is on the disk. So orders of one
popular product are placed one after the other, with one commit each. Here, an order waits in the
process while an earlier order of one of its products is being placed. All orders that wait for the
same products are then placed in one transaction: they share its commit, and only one of them waits
for locks of other processes. Orders without a product in common do not wait for each other.

Each order of a group is placed by the same statement as an order alone, so it gets the same result.
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


class OrderGroups(Generic[Request, Result]):
    """Places requests together that have a product in common.

    `place` places one or more requests in one transaction, and returns their results in sequence.
    """

    def __init__(self, place: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
        self._place = place
        # The products of all groups that are being placed
        self._busy: set[UUID] = set()
        # In the sequence of their arrival
        self._waiting: list[_Entry[Request, Result]] = []

    def place(self, request: Request, product_ids: Collection[UUID]) -> Result:
        """Place a request, perhaps together with others; return its result.

        Raises: what `place` raises. All requests of a group get the same error.
        """
        task = current_task()
        if task is None:
            return self._place([request])[0]
        entry = _Entry[Request, Result](request, frozenset(product_ids), task)
        self._waiting.append(entry)
        if not self._ready_groups():
            entry.wait()
        if entry.group:
            self._lead(task, entry.group)
        if entry.error is not None:
            raise entry.error
        result: Result = entry.result
        return result

    def _lead(self, task: GreenletTask, group: list[_Entry[Request, Result]]) -> None:
        """Place a group, and resume its other members and the next groups."""
        try:
            results = self._place([entry.request for entry in group])
        except Exception as error:
            for entry in group:
                # Each task adds its own traceback.
                entry.error = copy.copy(error)
        else:
            for entry, result in zip(group, results, strict=True):
                entry.result = result
        for entry in group:
            self._busy -= entry.product_ids
        woken = [*group[1:], *(next_group[0] for next_group in self._ready_groups())]
        if woken:
            task.suspend(lambda task: _resume(task, woken))

    def _ready_groups(self) -> list[list[_Entry[Request, Result]]]:
        """Remove the requests from the queue that can be placed now, and return them in groups.

        No request overtakes an earlier one with which it has a product in common.
        """
        groups: list[list[_Entry[Request, Result]]] = []
        products_of: list[set[UUID]] = []
        blocked: set[UUID] = set(self._busy)
        remaining = []
        for entry in self._waiting:
            common = [
                number
                for number, product_ids in enumerate(products_of)
                if not product_ids.isdisjoint(entry.product_ids)
            ]
            is_full = len(common) == 1 and len(groups[common[0]]) == MAX_ORDERS
            if len(common) > 1 or is_full or not blocked.isdisjoint(entry.product_ids):
                blocked |= entry.product_ids
                remaining.append(entry)
            elif common:
                groups[common[0]].append(entry)
                products_of[common[0]] |= entry.product_ids
            else:
                groups.append([entry])
                products_of.append(set(entry.product_ids))
        self._waiting = remaining
        for group, product_ids in zip(groups, products_of, strict=True):
            group[0].group = group
            self._busy |= product_ids
        return groups


class _Entry(Generic[Request, Result]):
    """A request, and the task that waits for its result."""

    def __init__(self, request: Request, product_ids: frozenset[UUID], task: GreenletTask) -> None:
        self.request = request
        self.product_ids = product_ids
        self.task = task
        # If this request leads a group: all requests of the group.
        self.group: list[_Entry[Request, Result]] | None = None
        self.error: Exception | None = None
        self.result: Any = None

    def wait(self) -> None:
        """Wait until this request has a result, an error, or a group to lead."""
        self.task.suspend(lambda _task: None)


def _resume(task: GreenletTask, entries: Sequence[_Entry[Any, Any]]) -> None:
    """Let the event loop resume the tasks of entries, and the task that has called."""
    for one in (task, *(entry.task for entry in entries)):
        one.loop.call_soon(one.resume)
