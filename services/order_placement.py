"""Places an order with one SQL statement, and finds the reason if the order cannot be placed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

import orjson
import uuid_utils
from uuid_utils.compat import uuid7

from database.transactions import autocommit, transaction
from domain import money, order_number
from domain.actor import Actor
from domain.address import ShippingAddress
from domain.errors import (
    IdempotencyKeyReused,
    InsufficientStock,
    Locked,
    ProductsUnavailable,
    SessionExpired,
    Unavailable,
    UnavailableLine,
    UnderstockedLine,
)
from domain.mail import ORDER_PLACED
from domain.order_status import PENDING
from models import idempotency_key as keys
from models import order as orders
from models import placement
from models import product as products
from models import user as users
from models.order import Order
from services.order_groups import OrderGroups
from services.process import configuration

# An attempt is retried only if the missing stock came back after it failed or while it waited for
# the lock. For a product that many users order and cancel at the same time, that can happen several
# times.
_MAX_ATTEMPTS = 6


@dataclass(frozen=True)
class OrderRequest:
    """The content of an order: the quantity of each product id, an address and a note."""

    quantities: Mapping[UUID, int]
    shipping_address: ShippingAddress | None
    note: str | None

    @cached_property
    def fingerprint(self) -> bytes:
        """A digest that two requests share if, and only if, their contents are equal."""
        lines = [f"{product_id.hex} {quantity}" for product_id, quantity in self.quantities.items()]
        optional = [] if self.address_json is None else [self.address_json]
        if self.note is not None:
            optional.append(orjson.dumps(self.note).decode())
        return hashlib.sha256("\n".join(["create_order", *lines, *optional]).encode()).digest()

    @cached_property
    def address_json(self) -> str | None:
        """The shipping address as JSON."""
        if self.shipping_address is None:
            return None
        return orjson.dumps(self.shipping_address.without_none()).decode()


def place(
    *, actor: Actor, request: OrderRequest, idempotency_key: str | None
) -> tuple[Order, bool]:
    """Place an order; return its first state, and whether an earlier request has placed it.

    Raises: what `services.orders.create_order` raises.
    """
    if actor.user_id is None:
        raise SessionExpired
    attempt = _Attempt(actor.user_id, actor.request_id, request, idempotency_key)
    for _ in range(_MAX_ATTEMPTS):
        try:
            order = _GROUPS.place(attempt, request.quantities)
        except InsufficientStock:
            # CHECK stock_not_negative: the stock changed while the statement waited for its lock.
            # The next attempt reads stock and price again.
            order = None
        except Locked:
            # The statement locks the stock before it claims the idempotency key. If an earlier
            # request with the key has placed the order, the stock does not matter.
            replayed = _find_replay(actor.user_id, idempotency_key, request.fingerprint)
            if replayed is None:
                raise
            return replayed, True
        if order is not None:
            return order, False
        replayed = _find_replay(actor.user_id, idempotency_key, request.fingerprint)
        if replayed is not None:
            return replayed, True
        _raise_refusal(actor.user_id, request.quantities)
    raise Unavailable


def quantity_by_product(items: Sequence[tuple[UUID, int]]) -> dict[UUID, int]:
    """Return the total quantity of each product, in the sequence of their first lines."""
    quantities: dict[UUID, int] = {}
    for product_id, quantity in items:
        quantities[product_id] = quantities.get(product_id, 0) + quantity
    return quantities


class _Attempt(NamedTuple):
    """The arguments of an attempt to place an order."""

    user_id: UUID
    request_id: str
    request: OrderRequest
    idempotency_key: str | None


def _try_to_place_all(attempts: Sequence[_Attempt]) -> list[Order | None]:
    """Place orders in one transaction; a None in the result has placed nothing."""
    return [_try_to_place(attempts[0])] if len(attempts) == 1 else _try_to_place_group(attempts)


@transaction
def _try_to_place_group(attempts: Sequence[_Attempt]) -> list[Order | None]:
    # The orders have the same products: see `OrderGroups`.
    product_ids = attempts[0].request.quantities
    placement.LOCK_FOR_GROUP.execute(
        user_ids=placement.uuid_array({attempt.user_id for attempt in attempts}),
        product_ids=placement.uuid_array(product_ids),
    )
    return [_try_to_place(attempt) for attempt in attempts]


# One statement is a transaction by itself: @autocommit saves the round trips of BEGIN and COMMIT.
@autocommit
def _try_to_place(attempt: _Attempt) -> Order | None:
    """Place the order, or return None if the statement has placed nothing: see `PLACE`."""
    user_id, request_id, request, idempotency_key = attempt
    quantities = request.quantities
    order_id, number, shop = uuid7(), order_number.new(), configuration()
    lines = placement.PLACE.all(
        order_id=order_id,
        number=number,
        user_id=user_id,
        currency=shop.currency,
        line_count=len(quantities),
        product_ids=placement.uuid_array(quantities),
        quantities=placement.integer_array(quantities.values()),
        # Faster than `uuid7`, which makes a UUID of the standard library; psycopg2 needs a text.
        movement_ids=placement.uuid_array(uuid_utils.uuid7() for _ in quantities),
        event_id=str(uuid_utils.uuid7()),
        request_id=request_id,
        key=idempotency_key,
        fingerprint=request.fingerprint,
        shipping_address=request.address_json,
        note=request.note,
        sends_mail=ORDER_PLACED in shop.mail_kinds,
    )
    if not lines:
        return None
    return Order(
        id=order_id,
        number=number,
        user_id=user_id,
        status=PENDING,
        currency=shop.currency,
        total=lines[0].total,
        tracking_number=None,
        carrier=None,
        version=1,
        created_at=lines[0].created_at,
        updated_at=lines[0].created_at,
        amount_paid=0,
        amount_refunded=0,
        expires_at=None,
        shipping_address=request.shipping_address,
        note=request.note,
        items=tuple(line.item for line in lines),
    )


_GROUPS = OrderGroups[_Attempt, Order | None](_try_to_place_all)


@autocommit
def _find_replay(user_id: UUID, idempotency_key: str | None, fingerprint: bytes) -> Order | None:
    """Return the order that was placed with this key, in the state of the first response.

    Only the columns that are reset here can change after an order was placed.
    """
    if idempotency_key is None:
        return None
    first = keys.FIND.one(user_id=user_id, key=idempotency_key)
    if first is None:
        return None
    if first.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    order = orders.FIND.one(order_id=first.order_id)
    assert order is not None  # noqa: S101  # a foreign key guarantees it
    return order._replace(
        status=PENDING,
        tracking_number=None,
        carrier=None,
        version=1,
        updated_at=order.created_at,
        amount_paid=0,
        amount_refunded=0,
        expires_at=None,
    )


@autocommit
def _raise_refusal(user_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Raise the reason why an order cannot be placed; return if the reason no longer exists."""
    user = users.FIND.one(user_id=user_id)
    if user is None or user.deleted_at is not None:
        raise SessionExpired
    found = products.FIND_OFFERS.all(product_ids=placement.uuid_array(quantities))
    offers = {offer.product_id: offer for offer in found}
    missing = [
        UnavailableLine(product_id, requested)
        for product_id, requested in quantities.items()
        if product_id not in offers
    ]
    short = [
        UnderstockedLine(product_id, requested, offers[product_id].available)
        for product_id, requested in quantities.items()
        if product_id in offers and offers[product_id].available < requested
    ]
    if missing:
        raise ProductsUnavailable([*missing, *short])
    if short:
        raise InsufficientStock(short)
    # Computed only because it raises AmountOverflow if the total is too large.
    money.total(
        money.subtotal(offers[product_id].price, quantity)
        for product_id, quantity in quantities.items()
    )
