"""The audit: checks the invariants of the shop's data."""

from __future__ import annotations

from database.transactions import transaction_without_timeout
from domain import order_status
from domain.order_status import Party
from models import audit as invariants
from models.audit import Finding

__all__ = ["Finding", "audit"]


@transaction_without_timeout
def audit() -> list[Finding]:
    """Return the rows that violate an invariant: at most 100 per invariant, none if all hold.

    Each invariant is checked by a single query on one snapshot, so orders that are placed during an
    audit cause no false findings.
    """
    transitions = [f"PERSON >{order_status.PENDING}"]
    for (current, following), parties in order_status.TRANSITIONS.items():
        transitions += [f"{kind} {current}>{following}" for kind in map(_actor_kind, parties)]
    return [
        finding
        for violations in invariants.INVARIANTS.values()
        for finding in violations.all(
            holding_units=sorted(order_status.HOLDING_UNITS), transitions=transitions
        )
    ]


def _actor_kind(party: Party) -> str:
    # Events do not record whether a person acted as the owner or as an administrator.
    return party.value if party in {Party.SYSTEM, Party.PROVIDER} else "PERSON"
