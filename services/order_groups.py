"""Groups orders that wait for the stock of the same products.

An order locks the stock row of each product until its transaction is committed. So orders of a
popular product run one after the other, with one commit each. This module makes an order wait in
the process while another order of exactly the same products is being placed. Then it places all
waiting orders in one transaction: they share one commit, and only this transaction waits for row
locks. Orders with different sets of products never wait for each other here.

Each order of a group is placed by the same statement as a single order, so it gets the same result.
An order that has waited for `MAX_WAIT_SECONDS` is placed alone: another program may have locked
the product, and each order then needs a time limit of its own.
docs/decisions/2026-11-28-grouped-orders.md has the measurements.

No lock is needed: only tasks in greenlets are grouped, and they all run on the thread of the
process' event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from database.greenlets import GreenletTask, current_task
from domain.errors import Unavailable

Request = TypeVar("Request")
Result = TypeVar("Result")

# A group holds its stock locks for about 0.5 ms for each order.
MAX_ORDERS = 32
# Much longer than a group takes
MAX_WAIT_SECONDS = 0.3


class OrderGroups(Generic[Request, Result]):
    """Groups requests for the same products.

    `place_all` places one or more requests in one transaction, and returns a result for each, in
    the same sequence.
    """

    def __init__(self, place_all: Callable[[Sequence[Request]], Sequence[Result]]) -> None:
        self._place_all = place_all
        # For each set of products that is being placed: the requests that wait
        self._waiting: dict[frozenset[UUID], list[_Entry[Request]]] = {}

    def place(self, request: Request, product_ids: Collection[UUID]) -> Result:
        """Place a request, perhaps together with others; return its result.

        Raises: what `place_all` raises. If it raises `Unavailable` for a group, all requests of the
            group get this error; after another error, each of them is placed alone.
        """
        task = current_task()
        if task is None:
            return self._place_alone(request)
        products = frozenset(product_ids)
        if products not in self._waiting:
            self._waiting[products] = []
            try:
                return self._place_alone(request)
            finally:
                self._resume(task, products, [])
        entry = _Entry(request, task)
        # What is left to do is passed by the task that resumes this one.
        finish: Callable[[], Result] = task.suspend(
            partial(_wait, entry, self._waiting[products], partial(self._place_alone, request))
        )
        return finish()

    def _place_alone(self, request: Request) -> Result:
        return self._place_all([request])[0]

    def _place_group(self, group: Sequence[_Entry[Request]], products: frozenset[UUID]) -> Result:
        """Place a group; resume its other tasks and the next group; return the first result."""
        leader, *others = group
        finish: list[Callable[[], Result]] = [
            partial(self._place_alone, entry.request) for entry in group
        ]
        try:
            results = self._place_all([entry.request for entry in group])
            finish = [partial(_return, result) for result in results]
        except Unavailable as error:
            # The commit may have succeeded, or all have waited for the same lock: do not repeat.
            finish = [partial(_raise, type(error))] * len(group)
            raise
        except Exception:
            # Perhaps one request is to blame. Nothing was committed, so each can be placed alone.
            if not others:
                raise
        finally:
            self._resume(leader.task, products, list(zip(others, finish[1:], strict=True)))
        return finish[0]()

    def _resume(
        self,
        task: GreenletTask,
        products: frozenset[UUID],
        others: list[tuple[_Entry[Request], Callable[[], Result]]],
    ) -> None:
        """Resume the leader of the next group, then other tasks, and last the task that calls."""
        waiting = self._waiting[products]
        if waiting:
            group = waiting[:MAX_ORDERS]
            del waiting[:MAX_ORDERS]
            # First, so that its transaction starts before the other responses are created.
            others.insert(0, (group[0], partial(self._place_group, group, products)))
        else:
            del self._waiting[products]
        if others:
            task.suspend(partial(_resume_soon, others))


class _Entry(Generic[Request]):
    """A request, and the task that waits for its result."""

    def __init__(self, request: Request, task: GreenletTask) -> None:
        self.request = request
        self.task = task


# The event loop calls these functions: code in a greenlet must not call the event loop.


def _wait(
    entry: _Entry[Any],
    waiting: list[_Entry[Any]],
    place_alone: Callable[[], Any],
    task: GreenletTask,
) -> None:
    waiting.append(entry)
    task.loop.call_later(MAX_WAIT_SECONDS, _time_out, entry, waiting, place_alone)


def _time_out(
    entry: _Entry[Any], waiting: list[_Entry[Any]], place_alone: Callable[[], Any]
) -> None:
    if entry in waiting:  # no group has taken it
        waiting.remove(entry)
        entry.task.resume(place_alone)


def _resume_soon(
    others: Sequence[tuple[_Entry[Any], Callable[[], Any]]], task: GreenletTask
) -> None:
    for entry, finish in others:
        task.loop.call_soon(entry.task.resume, finish)
    task.loop.call_soon(task.resume)


def _return(result: Result) -> Result:
    return result


def _raise(error: type[Unavailable]) -> Any:
    raise error
