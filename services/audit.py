"""Looks whether everything that must always hold does."""

from __future__ import annotations

from database.transactions import transaction_without_timeout
from domain import order_status
from domain.order_status import Party
from models import audit as invariants
from models.audit import Finding

__all__ = ["Finding", "audit"]


@transaction_without_timeout
def audit() -> list[Finding]:
    """Return everything that cannot be, at most a hundred findings of each kind; [] is well.

    Each invariant is looked at in one moment, so orders may go on being placed meanwhile.
    """
    steps = [f"PERSON >{order_status.PENDING}"]
    for (current, following), parties in order_status.TRANSITIONS.items():
        steps += [f"{kind} {current}>{following}" for kind in map(_kind, parties)]
    return [
        finding
        for violations in invariants.INVARIANTS.values()
        for finding in violations.all(live=sorted(order_status.LIVE), steps=steps)
    ]


def _kind(party: Party) -> str:
    # Whether a person was the owner or an administrator then, no event tells.
    return "SYSTEM" if party is Party.SYSTEM else "PERSON"
