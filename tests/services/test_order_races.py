"""Cancelling, expiring and moving on race for one order: one of them wins, the others are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from domain.actor import Actor
from domain.errors import TransitionNotAllowed
from services import orders, products
from services.orders import Order
from tests.services.conftest import AddProduct

pytestmark = pytest.mark.usefixtures("sound")

Sql = Callable[..., list[tuple[Any, ...]]]
ROUNDS = 500


def test_five_hundred_races_have_one_winner_each_and_give_the_stock_back_once(
    admin: Actor, client: Actor, nobody: Actor, add_product: AddProduct, sql: Sql
):
    mug = add_product(10)
    instant = Barrier(3)
    wins: Counter[str] = Counter()

    def race(step: Callable[[], Any]) -> Any:
        instant.wait()
        try:
            return step()
        except TransitionNotAllowed as refused:
            return refused

    with ThreadPoolExecutor(3) as pool:
        for _ in range(ROUNDS):
            order = overdue(client, mug.id, sql)

            cancelled, expired, paid = pool.map(
                race,
                [
                    lambda order=order: cancel(client, order),
                    lambda: orders.expire_orders(actor=nobody),
                    lambda order=order: pay(admin, order),
                ],
            )

            _, event = orders.list_order_events(actor=client, order_id=order.id, limit=9).items
            now = orders.get_order(actor=client, order_id=order.id)
            assert (now.status, now.version) == (event.to_status, 2)
            if event.to_status == "PAID":
                winner = "payment"
                assert (paid.status, expired) == ("PAID", 0)
                assert told(cancelled) == ("PAID", "CANCELLED", ())
                assert products.get_product(product_id=mug.id).stock == 7
                cancel(admin, order)
            else:
                winner = "owner" if event.actor_kind == "PERSON" else "expiry"
                assert (cancelled.status, cancelled.version) == ("CANCELLED", 2)
                assert expired == (winner == "expiry")
                assert told(paid) == ("CANCELLED", "PAID", ())
            assert products.get_product(product_id=mug.id).stock == 10
            wins[winner] += 1

    assert wins.total() == ROUNDS
    assert all(wins[one] for one in ("payment", "owner", "expiry")), wins
    assert sql("SELECT count(*) FROM stock_movement WHERE kind = 'RELEASE'") == [(ROUNDS,)]


def overdue(client: Actor, product_id: Any, sql: Sql) -> Order:
    """Return an order of three that should have been paid for an hour ago."""
    order = orders.create_order(actor=client, items=[(product_id, 3)], idempotency_key=None).order
    sql("UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = %s", str(order.id))
    return order


def cancel(actor: Actor, order: Order) -> Order:
    return orders.cancel_order(actor=actor, order_id=order.id, reason=None, expected_versions=None)


def pay(admin: Actor, order: Order) -> Order:
    return orders.update_order_status(
        actor=admin,
        order_id=order.id,
        status="PAID",
        tracking_number=None,
        expected_versions=None,
    )


def told(refused: TransitionNotAllowed) -> tuple[str, str, tuple[str, ...]]:
    return refused.current, refused.requested, tuple(refused.allowed)
