"""Who may see an order with its events, payments and refunds: its owner and administrators."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from domain.actor import Actor
from domain.errors import NotFound
from models import order as orders
from models.order import Order
from models.order_event import OrderEvent
from services.versions import require_version


def require_visible(actor: Actor, order: Order | None) -> Order:
    """Return the order if the actor may see it.

    Raises:
        NotFound: there is no order, or it belongs to another user.
    """
    if order is None or not can_see(actor, order.user_id):
        raise NotFound("order")
    return order


def find_to_change(
    actor: Actor, order_id: UUID, expected_versions: Collection[int] | None = None
) -> Order:
    """Return the order, and lock its row until this transaction ends.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
        PreconditionFailed: the order has none of the expected versions; None accepts any version.
    """
    order = require_visible(actor, orders.FIND_TO_CHANGE.one(order_id=order_id))
    require_version(order.version, expected_versions)
    return order


def as_owner_sees(event: OrderEvent, owner_id: UUID) -> OrderEvent:
    """Return an event of the owner's order without the names and notes of the staff."""
    if event.actor_user_id in {None, owner_id}:
        return event
    return event._replace(actor_user_id=None, reason=None)


def can_see(actor: Actor, owner_id: UUID | None) -> bool:
    """Return whether the actor may see an order of this owner; None means there is no order."""
    return owner_id is not None and (actor.is_admin or actor.user_id == owner_id)
