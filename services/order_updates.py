"""Changes of an order that leave its status as it is: carrier and tracking number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from database.transactions import transaction
from domain.actor import Actor
from domain.errors import OrderNotShipped
from domain.order_status import SHIPPED_OR_LATER
from models.order import Order
from services import order_changes
from services.order_transitions import find_order
from services.order_visibility import find_to_change


@transaction
def update_order(
    *,
    actor: Actor,
    order_id: UUID,
    changes: Mapping[str, str | None],
    expected_versions: Collection[int] | None,
) -> Order:
    """Change the order's `tracking_number` and `carrier` to the values in `changes`.

    If the order has these values already, nothing changes, not even the version.

    Raises:
        NotFound: no order has this id, or it belongs to another user.
        PreconditionFailed: the order has none of the expected versions; None accepts any version.
        OrderNotShipped: an order has a tracking number only once it was shipped.
    """
    order = find_to_change(actor, order_id, expected_versions)
    tracking_number = changes.get("tracking_number", order.tracking_number)
    carrier = changes.get("carrier", order.carrier)
    if tracking_number is not None and order.status not in SHIPPED_OR_LATER:
        raise OrderNotShipped(current=order.status)
    if (tracking_number, carrier) != (order.tracking_number, order.carrier):
        order_changes.update_shipment(
            actor, order, tracking_number=tracking_number, carrier=carrier
        )
    return find_order(actor, order_id)
