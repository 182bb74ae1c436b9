"""What it means to the shop when the database refuses a row: one table, by constraint name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from domain.errors import (
    AmountOverflow,
    DomainError,
    EmailTaken,
    IdempotencyInFlight,
    InsufficientStock,
    SessionExpired,
    SkuTaken,
)

ERROR_BY_CONSTRAINT: Mapping[str, Callable[[], DomainError]] = MappingProxyType(
    {
        "uq_users_email": EmailTaken,
        "uq_product_sku": SkuTaken,
        # The backstop: which lines are short, if any still is, services find out.
        "stock_not_negative": lambda: InsufficientStock(()),
        "ck_orders_total": AmountOverflow,
        # Somebody whose token outlived their account.
        "fk_orders_user_id": SessionExpired,
        "fk_session_user_id": SessionExpired,
        "fk_idempotency_key_user_id": SessionExpired,
    }
)

# Broken by bad luck alone: all of it again, and it gets another number.
TRY_AGAIN = frozenset({"uq_orders_number"})

# What it means to have waited too long for a row of a table; of any other, that it is busy.
ERROR_BY_LOCKED_TABLE: Mapping[str, Callable[[], DomainError]] = MappingProxyType(
    {"idempotency_key": IdempotencyInFlight}
)
