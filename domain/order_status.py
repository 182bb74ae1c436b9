"""The life of an order as one table: which step leads where, and who may make it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

PENDING = "PENDING"
PAID = "PAID"
SHIPPED = "SHIPPED"
DELIVERED = "DELIVERED"
CANCELLED = "CANCELLED"
RETURNED = "RETURNED"

STATUSES = (PENDING, PAID, SHIPPED, DELIVERED, CANCELLED, RETURNED)


class Party(StrEnum):
    """What somebody is to an order."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    SYSTEM = "SYSTEM"


TRANSITIONS: Mapping[tuple[str, str], frozenset[Party]] = MappingProxyType(
    {
        (PENDING, PAID): frozenset({Party.ADMIN}),
        (PENDING, CANCELLED): frozenset({Party.OWNER, Party.ADMIN, Party.SYSTEM}),
        (PAID, SHIPPED): frozenset({Party.ADMIN}),
        (PAID, CANCELLED): frozenset({Party.ADMIN}),
        (SHIPPED, DELIVERED): frozenset({Party.ADMIN}),
        (DELIVERED, RETURNED): frozenset({Party.ADMIN}),
    }
)

# Orders that still hold the units that they took; the others have given them back.
LIVE = frozenset({PENDING, PAID, SHIPPED, DELIVERED})


def parties(*, admin: bool, owner: bool) -> frozenset[Party]:
    """Return what a person is to an order; one may be both."""
    return _PARTIES[admin, owner]


def allowed(status: str, who: Iterable[Party]) -> tuple[str, ...]:
    """Return the statuses that any of these parties may give an order that has this one now."""
    return _ALLOWED[status, frozenset(who)]


def gives_stock_back(current: str, following: str) -> bool:
    """Tell whether this step returns the order's units to the stock."""
    return current in LIVE and following not in LIVE


def _allowed(status: str, who: frozenset[Party]) -> tuple[str, ...]:
    return tuple(
        following
        for (current, following), allowed_parties in TRANSITIONS.items()
        if current == status and who & allowed_parties
    )


def _subsets(parties_left: tuple[Party, ...]) -> list[frozenset[Party]]:
    if not parties_left:
        return [frozenset()]
    rest = _subsets(parties_left[1:])
    return rest + [subset | {parties_left[0]} for subset in rest]


# Every list of orders asks for these once per row, so all answers are written out once.
_PARTIES = {
    (admin, owner): frozenset(([Party.ADMIN] if admin else []) + ([Party.OWNER] if owner else []))
    for admin in (False, True)
    for owner in (False, True)
}
_ALLOWED = {
    (status, who): _allowed(status, who) for status in STATUSES for who in _subsets(tuple(Party))
}
