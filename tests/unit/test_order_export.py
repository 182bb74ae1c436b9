"""An export is made while it is taken, however long it is."""

from __future__ import annotations

import itertools
import tracemalloc
from datetime import UTC, datetime
from uuid import UUID

from handlers.order_export import as_csv
from services.orders import Order, OrderItem

ITEM = OrderItem(UUID(int=1), "MUG", "Mug", 1990, 2)
ORDER = Order(
    id=UUID(int=2),
    number="ORD-0000-0000",
    user_id=UUID(int=3),
    status="PENDING",
    currency="EUR",
    total=3980,
    tracking_number=None,
    version=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    shipping_address=None,
    note="x" * 1000,
    items=(ITEM,) * 5,
)


def test_the_first_piece_asks_for_few_orders() -> None:
    taken = itertools.count()
    pieces = as_csv(ORDER for _ in taken)

    assert len(next(pieces)) < 100_000
    assert next(taken) < 100


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(orders: int) -> int:
        tracemalloc.start()
        size = sum(map(len, as_csv(itertools.repeat(ORDER, orders))))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > orders * 5000
        return most

    assert peak(2000) < 1.5 * peak(200)
