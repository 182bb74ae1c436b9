"""The filters of a list of orders, passed as one value from the handler to the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilters:
    """Conditions that an order must meet; None means no condition.

    Attributes:
        statuses: the order has one of these statuses.
        created_from: the order was created at this time or later.
        created_to: the order was created before this time.
        min_total: the total is at least this amount, in minor units.
        max_total: the total is at most this amount, in minor units.
        number: the order number, as a person typed it.
        user_id: the user who placed the order.
    """

    statuses: Sequence[str] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    min_total: int | None = None
    max_total: int | None = None
    number: str | None = None
    user_id: UUID | None = None
