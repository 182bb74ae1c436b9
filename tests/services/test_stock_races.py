"""Adjustments and orders on the same products at once: the stock always adds up.

PYTEST_RACE_SECONDS says for how long; a short while unless it does.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from domain.actor import Actor
from domain.errors import InsufficientStock, StockBelowZero, StockNotAsExpected
from services import orders, products, stock
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

SECONDS = float(os.environ.get("PYTEST_RACE_SECONDS", "2"))


def test_adjustments_and_orders_at_once_add_up(
    admin: Actor, client: Actor, add_product: AddProduct, sql: Sql
):
    shelf = [add_product(20).id for _ in range(3)]
    until = time.monotonic() + SECONDS

    def go_on(seed: int) -> int:
        chance, done = random.Random(seed), 0
        while time.monotonic() < until:
            try:
                step(chance)
                done += 1
            except (InsufficientStock, StockBelowZero, StockNotAsExpected):
                pass
        return done

    def step(chance: random.Random) -> None:
        one = chance.choice(shelf)
        way = chance.random()
        if way < 0.5:
            lines = [(other, chance.randint(1, 3)) for other in chance.sample(shelf, 2)]
            order = orders.create_order(actor=client, items=lines, idempotency_key=None).order
            if chance.random() < 0.5:
                orders.cancel_order(
                    actor=client, order_id=order.id, reason=None, expected_versions=None
                )
        elif way < 0.8:
            stock.adjust_stock(
                actor=admin, product_id=one, reason="FOUND", delta=chance.choice((-2, 3, 5))
            )
        else:
            seen = products.get_product(product_id=one).stock
            stock.adjust_stock(
                actor=admin, product_id=one, reason="COUNTED", set_to=20, expected=seen
            )

    done = run_concurrently(*[lambda seed=seed: go_on(seed) for seed in range(6)])

    assert all(isinstance(count, int) and count for count in done), done
    assert [] == sql(
        "SELECT product_id FROM stock JOIN stock_movement USING (product_id)"
        " GROUP BY product_id, quantity HAVING quantity <> sum(delta)"
    )
