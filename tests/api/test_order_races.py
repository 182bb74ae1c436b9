"""Concurrent cancellation, expiry and payment of one order: exactly one of them succeeds.

Requests go to the server by HTTP. The expiry runs in another process, as in `orderly worker`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import httpx2
import psycopg2
from httpx2 import Client

from services import orders
from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.services import make_actor
from tests.support.shop import (
    ORDERS,
    add_product,
    cancel_order,
    get_stock,
    place_order,
    update_status,
)

ROUNDS = 500
MAKE_OVERDUE = "UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = %s"


def test_one_of_three_concurrent_changes_wins_and_the_stock_is_restored_once_in_500_rounds(
    admin: Client, alice: Client, shop: str
) -> None:
    mug = add_product(admin, stock=10)
    barrier = Barrier(3)
    wins: Counter[str] = Counter()

    def run_at_barrier(change: Callable[[], Any]) -> Any:
        barrier.wait()
        return change()

    with closing(psycopg2.connect(shop)) as connection, ThreadPoolExecutor(3) as pool:
        connection.autocommit = True
        cursor = connection.cursor()
        for _ in range(ROUNDS):
            order = place_order(alice, (mug, 3)).json()
            cursor.execute(MAKE_OVERDUE, (order["id"],))

            cancelled, expired, paid = pool.map(
                run_at_barrier,
                [
                    lambda order=order: cancel_order(alice, order),
                    lambda: orders.expire_orders(actor=make_actor(None, None)),
                    lambda order=order: update_status(admin, order, "PAID"),
                ],
            )

            _, event = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
            current = alice.get(f"{ORDERS}/{order['id']}").json()
            assert (current["status"], current["version"]) == (event["to_status"], 2)
            if event["to_status"] == "PAID":
                winner = "payment"
                assert (200, "PAID", 0) == (paid.status_code, paid.json()["status"], expired)
                assert ("PAID", "CANCELLED", []) == transition_error(cancelled)
                assert 7 == get_stock(alice, mug)
                assert 200 == cancel_order(admin, order).status_code
            else:
                winner = "owner" if event["actor"]["kind"] == "PERSON" else "expiry"
                assert (200, current) == (cancelled.status_code, cancelled.json())
                assert expired == (winner == "expiry")
                assert ("CANCELLED", "PAID", []) == transition_error(paid)
            assert 10 == get_stock(alice, mug)
            wins[winner] += 1
        cursor.execute("SELECT count(*) FROM stock_movement WHERE kind = 'RELEASE'")
        assert (ROUNDS,) == cursor.fetchone()

    assert ROUNDS == wins.total()
    assert all(wins[winner] for winner in ("payment", "owner", "expiry")), wins
    assert [] == audit()


def transition_error(response: httpx2.Response) -> tuple[str, str, list[str]]:
    problem = assert_problem(response, 409, "transition_not_allowed")
    return problem["current"], problem["requested"], problem["allowed"]
