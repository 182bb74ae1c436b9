"""Cancelling, expiring and moving on race for one order: one of them wins, the others are told.

People come by HTTP to the server; the expiry runs in another process, as `orderly worker` does.
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
OVERDUE = "UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = %s"


def test_five_hundred_races_have_one_winner_each_and_give_the_stock_back_once(
    admin: Client, alice: Client, shop: str
) -> None:
    mug = add_product(admin, stock=10)
    instant = Barrier(3)
    wins: Counter[str] = Counter()

    def race(step: Callable[[], Any]) -> Any:
        instant.wait()
        return step()

    with closing(psycopg2.connect(shop)) as connection, ThreadPoolExecutor(3) as pool:
        connection.autocommit = True
        cursor = connection.cursor()
        for _ in range(ROUNDS):
            order = place_order(alice, (mug, 3)).json()
            cursor.execute(OVERDUE, (order["id"],))

            cancelled, expired, paid = pool.map(
                race,
                [
                    lambda order=order: cancel_order(alice, order),
                    lambda: orders.expire_orders(actor=make_actor(None, None)),
                    lambda order=order: update_status(admin, order, "PAID"),
                ],
            )

            _, event = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
            now = alice.get(f"{ORDERS}/{order['id']}").json()
            assert (now["status"], now["version"]) == (event["to_status"], 2)
            if event["to_status"] == "PAID":
                winner = "payment"
                assert (200, "PAID", 0) == (paid.status_code, paid.json()["status"], expired)
                assert ("PAID", "CANCELLED", []) == told(cancelled)
                assert 7 == get_stock(alice, mug)
                assert 200 == cancel_order(admin, order).status_code
            else:
                winner = "owner" if event["actor"]["kind"] == "PERSON" else "expiry"
                assert (200, now) == (cancelled.status_code, cancelled.json())
                assert expired == (winner == "expiry")
                assert ("CANCELLED", "PAID", []) == told(paid)
            assert 10 == get_stock(alice, mug)
            wins[winner] += 1
        cursor.execute("SELECT count(*) FROM stock_movement WHERE kind = 'RELEASE'")
        assert (ROUNDS,) == cursor.fetchone()

    assert ROUNDS == wins.total()
    assert all(wins[one] for one in ("payment", "owner", "expiry")), wins
    assert [] == audit()


def told(refused: httpx2.Response) -> tuple[str, str, list[str]]:
    why = assert_problem(refused, 409, "transition_not_allowed")
    return why["current"], why["requested"], why["allowed"]
