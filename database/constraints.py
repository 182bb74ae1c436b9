"""Maps the names of violated constraints, and lock timeouts, to domain errors."""

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
        # The constraint does not say which products: the order service reads the stock and raises
        # the error again with the lines that lack stock.
        "stock_not_negative": lambda: InsufficientStock(()),
        "ck_orders_total": AmountOverflow,
        # The access token is still valid, but its user was deleted.
        "fk_orders_user_id": SessionExpired,
        "fk_session_user_id": SessionExpired,
        "fk_idempotency_key_user_id": SessionExpired,
    }
)

# uq_orders_number: the random order number exists already. A retry generates another number.
RETRYABLE_CONSTRAINTS = frozenset({"uq_orders_number"})

# The domain error for a lock timeout on a table; for tables that are not listed it is `Locked`.
ERROR_BY_LOCKED_TABLE: Mapping[str, Callable[[], DomainError]] = MappingProxyType(
    {"idempotency_key": IdempotencyInFlight}
)
