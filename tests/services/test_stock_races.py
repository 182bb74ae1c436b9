"""Concurrent adjustments and orders of the same products: stock equals the sum of its movements.

PYTEST_RACE_SECONDS sets the duration (default: 2 seconds).
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


def test_after_concurrent_adjustments_and_orders_the_stock_is_the_sum_of_its_movements(
    admin: Actor, client: Actor, add_product: AddProduct, sql: Sql
):
    product_ids = [add_product(20).id for _ in range(3)]
    deadline = time.monotonic() + SECONDS

    def repeat_changes(seed: int) -> int:
        generator, done = random.Random(seed), 0
        while time.monotonic() < deadline:
            try:
                change_stock(generator)
                done += 1
            except (InsufficientStock, StockBelowZero, StockNotAsExpected):
                pass
        return done

    def change_stock(generator: random.Random) -> None:
        product_id = generator.choice(product_ids)
        choice = generator.random()
        if choice < 0.5:
            lines = [(other, generator.randint(1, 3)) for other in generator.sample(product_ids, 2)]
            order = orders.create_order(actor=client, items=lines, idempotency_key=None).order
            if generator.random() < 0.5:
                orders.cancel_order(
                    actor=client, order_id=order.id, reason=None, expected_versions=None
                )
        elif choice < 0.8:
            stock.adjust_stock(
                actor=admin,
                product_id=product_id,
                reason="FOUND",
                delta=generator.choice((-2, 3, 5)),
            )
        else:
            current = products.get_product(product_id=product_id).stock
            stock.adjust_stock(
                actor=admin, product_id=product_id, reason="COUNTED", set_to=20, expected=current
            )

    done = run_concurrently(*[lambda seed=seed: repeat_changes(seed) for seed in range(6)])

    assert all(isinstance(count, int) and count for count in done), done
    assert [] == sql(
        "SELECT product_id FROM stock JOIN stock_movement USING (product_id)"
        " GROUP BY product_id, quantity HAVING quantity <> sum(delta)"
    )
