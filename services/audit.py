"""Looks whether everything that must always hold does."""

from __future__ import annotations

from domain import order_status
from models import audit as invariants
from models.audit import Finding
from models.database import unhurried

__all__ = ["Finding", "audit"]


@unhurried
def audit() -> list[Finding]:
    """Return everything that cannot be, at most a hundred findings of each kind; [] is well.

    Each invariant is looked at in one moment, so orders may go on being placed meanwhile.
    """
    steps = [f"{current}>{following}" for current, following in order_status.TRANSITIONS]
    return [
        finding
        for violations in invariants.INVARIANTS.values()
        for finding in violations.all(
            live=sorted(order_status.LIVE), steps=[f">{order_status.PENDING}", *steps]
        )
    ]
