"""An export is generated while it is sent, so its length does not matter."""

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
    carrier=None,
    version=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    amount_paid=0,
    amount_refunded=0,
    expires_at=None,
    shipping_address=None,
    note="x" * 1000,
    items=(ITEM,) * 5,
)


def test_the_first_chunk_needs_only_a_few_orders() -> None:
    counter = itertools.count()
    chunks = as_csv(ORDER for _ in counter)

    assert len(next(chunks)) < 100_000
    assert next(counter) < 100


def test_memory_use_does_not_grow_with_the_file() -> None:
    def peak(orders: int) -> int:
        tracemalloc.start()
        size = sum(map(len, as_csv(itertools.repeat(ORDER, orders))))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > orders * 5000
        return peak_bytes

    assert peak(2000) < 1.5 * peak(200)
