"""Orders that wait for the same products are placed together, each with its own result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import psycopg2
import pytest

from database import greenlets
from database.greenlets import GreenletRunner, run_in_thread
from domain.actor import Actor
from domain.errors import InsufficientStock, Locked, SessionExpired
from services import orders
from services.account_deletion import delete_me
from services.order_groups import MAX_ORDERS, MAX_WAIT_SECONDS, OrderGroups
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
    """Places requests, which are numbers, and records the groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.seconds = 0.002
        self.products: dict[int, set[UUID]] = {}
        self._orders = OrderGroups[int, int](self._place)

    def _place(self, requests: Sequence[int]) -> list[int]:
        self.groups.append(list(requests))
        greenlets.sleep(self.seconds)
        if 0 in requests:
            raise ZeroDivisionError
        return [request * 10 for request in requests]

    def place(self, *wanted: tuple[int, set[UUID]]) -> list[Any]:
        self.products.update(wanted)
        return run_in_greenlets(
            *(partial(self._orders.place, number, products) for number, products in wanted)
        )


def test_requests_of_one_product_are_placed_one_first_and_then_together() -> None:
    recorder = Recorder()

    results = recorder.place(*((number, {MUG}) for number in range(1, 6)))

    assert [10, 20, 30, 40, 50] == results
    assert [[1], [2, 3, 4, 5]] == recorder.groups


def test_requests_of_different_products_do_not_wait_for_each_other() -> None:
    recorder = Recorder()

    recorder.place((1, {MUG}), (2, {MUG, LAMP}), (3, {LAMP}), (4, {MUG}), (5, {LAMP, MUG}))

    assert [[1], [2], [3], [4], [5]] == recorder.groups


def test_a_group_is_limited() -> None:
    recorder = Recorder()

    recorder.place(*((number, {MUG}) for number in range(1, MAX_ORDERS + 4)))

    assert [1, MAX_ORDERS, 2] == [len(group) for group in recorder.groups]


def test_an_error_is_raised_for_each_request_of_the_group_and_for_no_other() -> None:
    recorder = Recorder()

    results = recorder.place((1, {MUG}), (2, {MUG}), (0, {MUG}), (4, {LAMP}))

    assert [int, ZeroDivisionError, ZeroDivisionError, int] == [type(one) for one in results]
    assert results[1] is not results[2]
    assert [50] == recorder.place((5, {MUG}))  # nothing is left behind


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
    wanted = [(number, generator.choice(products)) for number in range(1, 61)]
    recorder = Recorder()

    results = recorder.place(*wanted)

    assert [number * 10 for number, _ in wanted] == results
    for products_of_one in products:
        placed = [
            number
            for group in recorder.groups
            for number in group
            if recorder.products[number] == products_of_one
        ]
        assert sorted(placed) == placed
    assert len(recorder.groups) < len(wanted)


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
    client: Actor, add_product: AddProduct, shop: str
) -> None:
    mug, lamp = add_product(10), add_product(10)
    placed: list[UUID] = []
    lock = psycopg2.connect(shop)
    lock.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", [str(mug.id)])

    def place(product: UUID) -> None:
        order(client, (product, 1))()
        placed.append(product)
        if product == lamp.id:
            # In a thread: psycopg2's wait callback needs a connection of the pool.
            run_in_thread(lock.rollback)()

    assert [None] * 4 == run_in_greenlets(
        *(partial(place, product) for product in (mug.id, mug.id, mug.id, lamp.id))
    )
    assert [lamp.id, mug.id, mug.id, mug.id] == placed


def test_orders_that_waited_too_long_for_a_lock_fail_and_can_be_repeated(
    client: Actor, add_product: AddProduct, shop: str, sql: Sql
) -> None:
    mug = add_product(10)
    calls = [order(client, (mug.id, 1), key=str(number)) for number in range(4)]
    lock = psycopg2.connect(shop)
    lock.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", [str(mug.id)])

    assert [Locked] * 4 == [type(result) for result in run_in_greenlets(*calls)]
    lock.rollback()
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
