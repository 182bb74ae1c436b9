"""The state machine of orders: which status transitions exist, and who may make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import combinations
from types import MappingProxyType

PENDING = "PENDING"
PAID = "PAID"
SHIPPED = "SHIPPED"
DELIVERED = "DELIVERED"
CANCELLED = "CANCELLED"
RETURNED = "RETURNED"

STATUSES = (PENDING, PAID, SHIPPED, DELIVERED, CANCELLED, RETURNED)


class Party(StrEnum):
    """The relation of an actor to an order."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    SYSTEM = "SYSTEM"
    PROVIDER = "PROVIDER"  # the payment provider


TRANSITIONS: Mapping[tuple[str, str], frozenset[Party]] = MappingProxyType(
    {
        (PENDING, PAID): frozenset({Party.ADMIN, Party.PROVIDER}),
        (PENDING, CANCELLED): frozenset({Party.OWNER, Party.ADMIN, Party.SYSTEM}),
        (PAID, SHIPPED): frozenset({Party.ADMIN}),
        (PAID, CANCELLED): frozenset({Party.ADMIN}),
        (SHIPPED, DELIVERED): frozenset({Party.ADMIN}),
        (DELIVERED, RETURNED): frozenset({Party.ADMIN}),
    }
)

# In these statuses the order's units are not in stock; in the others they were returned to stock.
HOLDING_UNITS = frozenset({PENDING, PAID, SHIPPED, DELIVERED})

# Only in these statuses an order can have a tracking number.
SHIPPED_OR_LATER = frozenset({SHIPPED, DELIVERED, RETURNED})

# In these statuses the customer still waits for the order, or the shop for its money.
IN_PROGRESS = (PENDING, PAID, SHIPPED)


def parties(*, admin: bool, owner: bool) -> frozenset[Party]:
    """Return the relations of a user to an order; a user may be both its owner and an admin."""
    return _PARTIES[admin, owner]


def allowed(status: str, who: Iterable[Party]) -> tuple[str, ...]:
    """Return the statuses to which any of these parties may change an order with this status."""
    return _ALLOWED[status, frozenset(who)]


def returns_stock(current: str, target: str) -> bool:
    """Return whether this transition returns the order's units to stock."""
    return current in HOLDING_UNITS and target not in HOLDING_UNITS


def _allowed(status: str, who: frozenset[Party]) -> tuple[str, ...]:
    return tuple(
        target
        for (current, target), allowed_parties in TRANSITIONS.items()
        if current == status and who & allowed_parties
    )


def _subsets(items: tuple[Party, ...]) -> list[frozenset[Party]]:
    sizes = range(len(items) + 1)
    return [frozenset(subset) for size in sizes for subset in combinations(items, size)]


# Precomputed for every combination of arguments: a list of orders looks them up for each row.
_PARTIES = {
    (admin, owner): frozenset(([Party.ADMIN] if admin else []) + ([Party.OWNER] if owner else []))
    for admin in (False, True)
    for owner in (False, True)
}
_ALLOWED = {
    (status, who): _allowed(status, who) for status in STATUSES for who in _subsets(tuple(Party))
}
