"""How an order is placed: in one statement, and when that comes to nothing, why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from database.transactions import autocommit
from domain import money, order_number
from domain.actor import Actor
from domain.address import ShippingAddress
from domain.errors import (
    IdempotencyKeyReused,
    InsufficientStock,
    Locked,
    ProductsUnavailable,
    SessionExpired,
    ShortLine,
    Unavailable,
    UnavailableLine,
)
from domain.order_status import PENDING
from models import idempotency_key as keys
from models import order as orders
from models import placement
from models import product as products
from models.order import Order
from services.process import configuration

# Another try is worth it only if just what was missing came in, between two looks or while it was
# waited for. On a product that many buy and cancel at once that may happen some times in a row.
_MOST_TRIES = 6


@dataclass(frozen=True)
class Request:
    """What somebody asks for: how many of each product, in order; where to; what else to say."""

    wanted: Mapping[UUID, int]
    shipping_address: ShippingAddress | None
    note: str | None

    @cached_property
    def fingerprint(self) -> bytes:
        """A digest that two requests share if, and only if, they ask for the same."""
        lines = (f"{product_id.hex} {quantity}" for product_id, quantity in self.wanted.items())
        more = [] if self.address is None else [self.address]
        if self.note is not None:
            more.append(orjson.dumps(self.note).decode())
        return hashlib.sha256("\n".join(["create_order", *lines, *more]).encode()).digest()

    @cached_property
    def address(self) -> str | None:
        """The address as JSON."""
        if self.shipping_address is None:
            return None
        return orjson.dumps(self.shipping_address.given()).decode()


def place(*, actor: Actor, request: Request, idempotency_key: str | None) -> tuple[Order, bool]:
    """Place an order and return it as placed, and whether an earlier request has placed it.

    Raises: what `services.orders.create_order` raises.
    """
    if actor.user_id is None:
        raise SessionExpired
    for _ in range(_MOST_TRIES):
        try:
            order = _placed(actor, actor.user_id, request, idempotency_key)
        except InsufficientStock:
            # The units came in while it waited for their lock. Another try is at the price of now.
            order = None
        except Locked:
            # The stock is locked before the key is looked at; a replay needs no stock.
            earlier = _earlier(actor.user_id, idempotency_key, request.fingerprint)
            if earlier is None:
                raise
            return earlier, True
        if order is not None:
            return order, False
        earlier = _earlier(actor.user_id, idempotency_key, request.fingerprint)
        if earlier is not None:
            return earlier, True
        _refuse(request.wanted)
    raise Unavailable


def summed(items: Sequence[tuple[UUID, int]]) -> dict[UUID, int]:
    """Return how many of each product, in the order in which they are first named."""
    wanted: dict[UUID, int] = {}
    for product_id, quantity in items:
        wanted[product_id] = wanted.get(product_id, 0) + quantity
    return wanted


# One statement is a transaction by itself: `reading` saves the round trips of BEGIN and COMMIT.
@autocommit
def _placed(
    actor: Actor, user_id: UUID, request: Request, idempotency_key: str | None
) -> Order | None:
    wanted = request.wanted
    order_id, number, currency = uuid7(), order_number.new(), configuration().currency
    lines = placement.PLACE.all(
        order_id=order_id,
        number=number,
        user_id=user_id,
        currency=currency,
        line_count=len(wanted),
        product_ids=placement.uuid_array(wanted),
        quantities=placement.integer_array(wanted.values()),
        movement_ids=placement.uuid_array(uuid7() for _ in wanted),
        event_id=uuid7(),
        request_id=actor.request_id,
        key=idempotency_key,
        fingerprint=request.fingerprint,
        shipping_address=request.address,
        note=request.note,
    )
    if not lines:
        return None
    return Order(
        id=order_id,
        number=number,
        user_id=user_id,
        status=PENDING,
        currency=currency,
        total=lines[0].total,
        tracking_number=None,
        version=1,
        created_at=lines[0].created_at,
        updated_at=lines[0].created_at,
        shipping_address=request.shipping_address,
        note=request.note,
        items=tuple(line.item for line in lines),
    )


@autocommit
def _earlier(user_id: UUID, idempotency_key: str | None, fingerprint: bytes) -> Order | None:
    """Return the order that this key has placed, as it was answered then.

    Of an order, only what `_replace` names here ever changes: the rest is read as it was written.
    """
    if idempotency_key is None:
        return None
    first = keys.FIND.one(user_id=user_id, key=idempotency_key)
    if first is None:
        return None
    if first.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    order = orders.FIND.one(order_id=first.order_id)
    assert order is not None  # noqa: S101  # a foreign key says so
    return order._replace(
        status=PENDING, tracking_number=None, version=1, updated_at=order.created_at
    )


@autocommit
def _refuse(wanted: Mapping[UUID, int]) -> None:
    """Raise what keeps an order from being placed; return where nothing does any more."""
    found = products.FIND_OFFERS.all(product_ids=placement.uuid_array(wanted))
    offers = {offer.product_id: offer for offer in found}
    missing = [
        UnavailableLine(product_id, requested)
        for product_id, requested in wanted.items()
        if product_id not in offers
    ]
    short = [
        ShortLine(product_id, requested, offers[product_id].available)
        for product_id, requested in wanted.items()
        if product_id in offers and offers[product_id].available < requested
    ]
    if missing:
        raise ProductsUnavailable([*missing, *short])
    if short:
        raise InsufficientStock(short)
    money.total(
        money.subtotal(offers[product_id].price, quantity)
        for product_id, quantity in wanted.items()
    )
