"""Orders that wait for the same products are placed together, each with its own result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from database import greenlets
from database.binding import database
from database.greenlets import GreenletRunner, run_in_thread
from database.transactions import transaction
from domain.actor import Actor
from domain.errors import InsufficientStock, Locked, SessionExpired
from models.placement import LOCK_FOR_GROUP, uuid_array
from services import orders
from services.account_deletion import delete_me
from services.order_groups import MAX_ORDERS, MAX_WAIT_SECONDS, OrderGroups
from tests.support.concurrency import Blocker
from tests.support.database import Sql
from tests.support.services import PASSWORD, AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

MUG, LAMP, DESK = UUID(int=1), UUID(int=2), UUID(int=3)


def run_in_greenlets(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls concurrently, started in sequence; return what each returned or raised."""

    async def run() -> list[Any]:
        with ThreadPoolExecutor(4) as threads:
            runner = GreenletRunner(threads)
            try:
                running = [asyncio.ensure_future(runner.run(call)) for call in calls]
                return await asyncio.gather(*running, return_exceptions=True)
            finally:
                await runner.close()

    return asyncio.run(run())


class Recorder:
    """Places requests, which are numbers, and records the groups.

    A group fails with the error of its first request that has one.
    """

    def __init__(self, errors: dict[int, Exception] | None = None) -> None:
        self.groups: list[list[int]] = []
        self.arrivals: list[int] = []
        self.seconds = 0.002
        self._errors = errors or {}
        self._orders = OrderGroups[int, int](self._place_all)

    def _place_all(self, requests: Sequence[int]) -> list[int]:
        self.groups.append(list(requests))
        greenlets.sleep(self.seconds)
        for request in requests:
            if request in self._errors:
                raise self._errors[request]
        return [request * 10 for request in requests]

    def place(self, *wanted: tuple[int, set[UUID]], within: float = 0) -> list[Any]:
        """Place requests, which arrive in sequence, or at random times within some seconds."""

        def place(number: int, products: set[UUID]) -> int:
            if within:
                greenlets.sleep(random.Random(number).uniform(0, within))
            self.arrivals.append(number)
            return self._orders.place(number, products)

        return run_in_greenlets(*(partial(place, number, products) for number, products in wanted))


def test_requests_of_one_product_are_placed_one_first_and_then_together() -> None:
    recorder = Recorder()

    results = recorder.place(*((number, {MUG}) for number in range(5)))

    assert [0, 10, 20, 30, 40] == results
    assert [[0], [1, 2, 3, 4]] == recorder.groups


def test_requests_of_different_products_do_not_wait_for_each_other() -> None:
    recorder = Recorder()

    recorder.place((1, {MUG}), (2, {MUG, LAMP}), (3, {LAMP}), (4, {MUG}), (5, {LAMP, MUG}))

    assert [[1], [2], [3], [4], [5]] == recorder.groups


def test_a_group_is_limited() -> None:
    recorder = Recorder()

    recorder.place(*((number, {MUG}) for number in range(MAX_ORDERS + 3)))

    assert [1, MAX_ORDERS, 2] == [len(group) for group in recorder.groups]


def test_unavailable_is_raised_for_each_request_of_the_group_and_for_no_other() -> None:
    recorder = Recorder({3: Locked()})

    results = recorder.place((1, {MUG}), (2, {MUG}), (3, {MUG}), (4, {LAMP}))

    assert [int, Locked, Locked, int] == [type(result) for result in results]
    assert [[1], [4], [2, 3]] == recorder.groups


@pytest.mark.parametrize("culprit", [2, 3])
def test_after_another_error_each_request_of_the_group_is_placed_alone(culprit: int) -> None:
    recorder = Recorder({culprit: ZeroDivisionError("test")})

    results = recorder.place((1, {MUG}), (2, {MUG}), (3, {MUG}))

    assert 1 == sum(isinstance(result, ZeroDivisionError) for result in results)
    assert isinstance(results[culprit - 1], ZeroDivisionError)
    assert [[1], [2, 3]] == recorder.groups[:2]
    assert [[2], [3]] == sorted(recorder.groups[2:])


def test_requests_are_grouped_again_after_an_error() -> None:
    recorder = Recorder({1: Locked(), 2: ZeroDivisionError()})
    recorder.place((1, {MUG}), (2, {MUG}))

    recorder.place((3, {MUG}), (4, {MUG}), (5, {MUG}))

    assert [[3], [4, 5]] == recorder.groups[-2:]


def test_a_request_that_has_waited_for_some_time_is_placed_alone() -> None:
    recorder = Recorder()
    recorder.seconds = MAX_WAIT_SECONDS * 2

    results = recorder.place((1, {MUG}), (2, {MUG}), (3, {MUG}))

    assert [10, 20, 30] == results
    assert [[1], [2], [3]] == recorder.groups


@pytest.mark.parametrize("seed", range(10))
def test_random_requests_get_their_results_in_sequence_of_their_products(seed: int) -> None:
    generator = random.Random(seed)
    products = [{MUG}, {LAMP}, {DESK}, {MUG, LAMP}]
    wanted = [(number, generator.choice(products)) for number in range(60)]
    products_of = dict(wanted)
    recorder = Recorder({number: ZeroDivisionError() for number in generator.sample(range(60), 3)})

    results = recorder.place(*wanted, within=0.02)

    assert 3 == sum(isinstance(result, ZeroDivisionError) for result in results)
    for number, result in enumerate(results):
        assert isinstance(result, ZeroDivisionError) or number * 10 == result
    for one in products:
        first_placed = list(
            dict.fromkeys(n for group in recorder.groups for n in group if products_of[n] == one)
        )
        assert [n for n in recorder.arrivals if products_of[n] == one] == first_placed
    assert any(len(group) > 1 for group in recorder.groups)


LOCK_STOCK = "SELECT FROM stock WHERE product_id = %s FOR UPDATE"


def order(client: Actor, *lines: tuple[UUID, int], key: str | None = None) -> Callable[[], Any]:
    return partial(orders.create_order, actor=client, items=list(lines), idempotency_key=key)


def test_orders_are_placed_together_until_the_stock_is_used_up(
    client: Actor, add_product: AddProduct, sql: Sql
) -> None:
    mug = add_product(10)

    results = run_in_greenlets(*(order(client, (mug.id, 4)) for _ in range(6)))

    refused = [result for result in results if isinstance(result, InsufficientStock)]
    assert 4 == len(refused)
    for refusal in refused:
        (line,) = refusal.lines
        assert (mug.id, 4, 2) == (line.product_id, line.requested, line.available)
    assert [(2,)] == sql("SELECT quantity FROM stock")


def test_orders_of_a_group_share_a_transaction(
    client: Actor, add_product: AddProduct, sql: Sql
) -> None:
    mug = add_product(10)

    results = run_in_greenlets(*(order(client, (mug.id, 1)) for _ in range(10)))

    assert 10 == len({result.order.id for result in results})
    ((transactions,),) = sql("SELECT count(DISTINCT xmin::text) FROM orders")
    assert transactions < 10
    assert [(0,)] == sql("SELECT quantity FROM stock")


def test_two_requests_with_one_idempotency_key_in_a_group_place_one_order(
    client: Actor, add_product: AddProduct, sql: Sql
) -> None:
    mug = add_product(10)
    first = order(client, (mug.id, 1))
    same = order(client, (mug.id, 2), key="same")

    _, one, other = run_in_greenlets(first, same, same)

    assert {False, True} == {one.replayed, other.replayed}
    assert one.order == other.order
    assert [(7,)] == sql("SELECT quantity FROM stock")


def test_orders_of_other_products_do_not_wait_for_a_locked_one(
    client: Actor, add_product: AddProduct, blocker: Blocker
) -> None:
    mug, lamp = add_product(10), add_product(10)
    placed: list[UUID] = []
    blocker.execute(LOCK_STOCK, mug.id)

    def place(product: UUID) -> None:
        order(client, (product, 1))()
        placed.append(product)
        if product == lamp.id:
            # In a thread: psycopg2's wait callback needs a connection of the pool.
            run_in_thread(blocker.commit)()

    assert [None] * 4 == run_in_greenlets(
        *(partial(place, product) for product in (mug.id, mug.id, mug.id, lamp.id))
    )
    assert [lamp.id, mug.id, mug.id, mug.id] == placed


def test_orders_that_waited_too_long_for_a_lock_fail_and_can_be_repeated(
    client: Actor, add_product: AddProduct, blocker: Blocker, sql: Sql
) -> None:
    mug = add_product(10)
    calls = [order(client, (mug.id, 1), key=str(number)) for number in range(4)]
    blocker.execute(LOCK_STOCK, mug.id)

    assert [Locked] * 4 == [type(result) for result in run_in_greenlets(*calls)]
    blocker.commit()
    assert not any(result.replayed for result in run_in_greenlets(*calls))
    assert [(6,)] == sql("SELECT quantity FROM stock")


def test_a_user_who_was_deleted_cannot_order_in_a_group(
    client: Actor, new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
) -> None:
    mug, deleted = add_product(10), new_client()
    assert deleted.user_id is not None
    delete_me(actor=deleted, current_password=PASSWORD)

    results = run_in_greenlets(
        *(order(actor, (mug.id, 1)) for actor in (client, deleted, client, client))
    )

    assert [False, True, False, False] == [isinstance(one, SessionExpired) for one in results]
    assert [(7,)] == sql("SELECT quantity FROM stock")


@transaction
def lock_for_group(client: Actor, product_id: UUID) -> str:
    """Lock the rows for a group of one order; return the time limit of the transaction."""
    assert client.user_id is not None
    LOCK_FOR_GROUP.execute(
        user_ids=uuid_array([client.user_id]), product_ids=uuid_array([product_id])
    )
    (limit,) = database.execute_sql("SHOW lock_timeout").fetchone()
    return str(limit)


@pytest.mark.parametrize(("limit", "halved"), [("3s", "1500ms"), ("1", "1ms"), ("0", "0")])
def test_a_group_waits_half_as_long_for_each_lock(
    client: Actor, add_product: AddProduct, limit: str, halved: str
) -> None:
    mug = add_product(1)

    @transaction
    def lock() -> str:
        database.execute_sql("SELECT set_config('lock_timeout', %s, true)", [limit])
        return lock_for_group(client, mug.id)

    assert halved == lock()


def test_a_group_does_not_lock_stock_while_it_waits_for_the_deletion_of_a_user(
    client: Actor, add_product: AddProduct, blocker: Blocker, sql: Sql
) -> None:
    mug = add_product(10)
    blocker.execute("SELECT FROM users WHERE id = %s FOR UPDATE", client.user_id)

    def end() -> list[tuple[Any, ...]]:
        blocker.wait_for_waiting()
        unlocked = sql("SELECT quantity FROM stock FOR UPDATE SKIP LOCKED")
        blocker.commit()
        return unlocked

    limit, unlocked = run_in_greenlets(partial(lock_for_group, client, mug.id), run_in_thread(end))

    assert isinstance(limit, str)
    assert [(10,)] == unlocked
