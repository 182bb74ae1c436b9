"""How much there is of a product, and the ledger that says why."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain.actor import Actor
from domain.errors import NotFound, StockBelowZero, StockNotAsExpected, StockTooLarge
from domain.paging import Page
from models import product as products
from models import stock_movement
from models.stock_movement import StockMovement

__all__ = ["StockMovement", "adjust_stock", "list_stock_movements", "record_adjustment"]

MOST_IN_STOCK = 1_000_000_000


@transaction
def adjust_stock(
    *,
    actor: Actor,
    product_id: UUID,
    reason: str,
    delta: int = 0,
    set_to: int | None = None,
    expected: int | None = None,
) -> StockMovement:
    """Change a product's stock by `delta` units, or to `set_to` if it is as `expected`.

    Raises:
        NotFound: there is no such product; archived ones are as good as others.
        StockBelowZero: there are fewer than would go.
        StockTooLarge: there would be more than `MOST_IN_STOCK`.
        StockNotAsExpected: there are more or fewer than expected; nothing is changed.
    """
    available = products.FIND_STOCK_TO_CHANGE.one(product_id=product_id)
    if available is None:
        raise NotFound("product")
    if set_to is not None:
        if expected is not None and available != expected:
            raise StockNotAsExpected(available=available, expected=expected)
        delta = set_to - available
    if available + delta < 0:
        raise StockBelowZero(available=available, delta=delta)
    if delta > 0 and available + delta > MOST_IN_STOCK:
        raise StockTooLarge(available=available, delta=delta)
    return record_adjustment(actor, product_id, delta, available + delta, reason)


def record_adjustment(
    actor: Actor, product_id: UUID, delta: int, quantity: int, reason: str
) -> StockMovement:
    """Set the stock of a product, its row locked by this transaction, and record it."""
    if delta:
        products.SET_STOCK.execute(product_id=product_id, quantity=quantity)
    movement = stock_movement.RECORD_ADJUSTMENT.one(
        movement_id=uuid7(),
        product_id=product_id,
        delta=delta,
        quantity_after=quantity,
        reason=reason,
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )
    assert movement is not None  # noqa: S101  # an insert returns its row
    return movement


@autocommit
def list_stock_movements(
    *, actor: Actor, product_id: UUID, limit: int, cursor: str | None = None
) -> Page[StockMovement]:
    """Return a page of what has come and gone of a product, the newest first.

    Raises:
        NotFound: there is no such product; archived ones are as good as others.
    """
    del actor  # the contract lets administrators alone come here
    if products.FIND_STOCK.one(product_id=product_id) is None:
        raise NotFound("product")
    return stock_movement.LEDGER.page(
        sort="-created_at", limit=limit, cursor=cursor, product_id=product_id
    )
