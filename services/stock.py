"""Stock: adjusting a product's quantity, and listing its stock movements."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain.actor import Actor
from domain.errors import NotFound, StockBelowZero, StockNotAsExpected, StockTooLarge
from domain.paging import Page
from models import product as products
from models import stock_movement
from models.stock_movement import StockMovement
from services import idempotency, security_events

__all__ = ["StockMovement", "adjust_stock", "list_stock_movements"]

MAX_STOCK = 1_000_000_000


class AdjustedStock(NamedTuple):
    """A stock movement, and whether an earlier request with the same key has recorded it."""

    movement: StockMovement
    replayed: bool


@transaction
def adjust_stock(
    *,
    actor: Actor,
    product_id: UUID,
    reason: str,
    delta: int = 0,
    set_to: int | None = None,
    expected: int | None = None,
    idempotency_key: str | None = None,
) -> AdjustedStock:
    """Change a product's stock by `delta` units, or set it to `set_to` if that is not None.

    If `expected` is not None, the stock is set only if it has this quantity. Archived products
    have stock too.

    Raises:
        NotFound: no product has this id.
        StockBelowZero: the quantity would become negative.
        StockTooLarge: the quantity would exceed `MAX_STOCK`.
        StockNotAsExpected: the quantity is not `expected`.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    digest = idempotency.fingerprint("adjust_stock", product_id, reason, delta, set_to, expected)
    available = products.FIND_STOCK_TO_CHANGE.one(product_id=product_id)
    if available is None:
        raise NotFound("product")
    # After the stock was locked: a concurrent request with this key has ended.
    first = idempotency.find(actor, idempotency_key, digest)
    if first is not None and first.stock_movement_id is not None:
        movement = stock_movement.FIND.one(movement_id=first.stock_movement_id)
        assert movement is not None  # noqa: S101  # a foreign key guarantees it
        return AdjustedStock(movement, replayed=True)
    if set_to is not None:
        if expected is not None and available != expected:
            raise StockNotAsExpected(available=available, expected=expected)
        delta = set_to - available
    if available + delta < 0:
        raise StockBelowZero(available=available, delta=delta)
    if delta > 0 and available + delta > MAX_STOCK:
        raise StockTooLarge(available=available, delta=delta)
    if delta:
        products.SET_STOCK.execute(product_id=product_id, quantity=available + delta)
    movement = stock_movement.INSERT_ADJUSTMENT.one(
        movement_id=uuid7(),
        product_id=product_id,
        delta=delta,
        quantity_after=available + delta,
        reason=reason,
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )
    security_events.append(security_events.STOCK_ADJUSTED, actor=actor, product_id=product_id)
    assert movement is not None  # noqa: S101  # INSERT ... RETURNING returns a row or raises
    idempotency.claim(actor, idempotency_key, digest, stock_movement_id=movement.id)
    return AdjustedStock(movement, replayed=False)


@autocommit
def list_stock_movements(
    *, actor: Actor, product_id: UUID, limit: int, cursor: str | None = None
) -> Page[StockMovement]:
    """Return a page of a product's stock movements, newest first.

    Raises:
        NotFound: no product, archived or not, has this id.
    """
    del actor  # the contract requires an administrator
    if products.FIND_STOCK.one(product_id=product_id) is None:
        raise NotFound("product")
    return stock_movement.LEDGER.page(
        sort="-created_at", limit=limit, cursor=cursor, product_id=product_id
    )
