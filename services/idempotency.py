"""Idempotency keys of requests that create something, inside the transaction that creates it."""

from __future__ import annotations

import hashlib
from uuid import UUID

from domain.actor import Actor
from domain.errors import IdempotencyInFlight, IdempotencyKeyReused, SessionExpired
from models import idempotency_key as keys
from models.idempotency_key import FirstRequest


def fingerprint(operation: str, *parts: object) -> bytes:
    """Return a digest that two requests share if, and only if, their contents are equal."""
    lines = [operation, *(f"{len(str(part))} {part}" for part in parts)]
    return hashlib.sha256("\n".join(lines).encode()).digest()


def find(actor: Actor, key: str | None, digest: bytes) -> FirstRequest | None:
    """Return what an earlier request with this key has created; None if the key is new.

    Raises:
        SessionExpired: the actor is not signed in.
        IdempotencyKeyReused: the earlier request was a different one.
    """
    if actor.user_id is None:
        raise SessionExpired
    first = None if key is None else keys.FIND.one(user_id=actor.user_id, key=key)
    if first is not None and first.fingerprint != digest:
        raise IdempotencyKeyReused
    return first


def claim(
    actor: Actor,
    key: str | None,
    digest: bytes,
    *,
    payment_id: UUID | None = None,
    refund_id: UUID | None = None,
    product_id: UUID | None = None,
    stock_movement_id: UUID | None = None,
) -> None:
    """Record what the request with this key has created: one of these.

    Raises:
        IdempotencyInFlight: a concurrent request has used the key since `find`.
    """
    if key is None:
        return
    claimed = keys.CLAIM.execute(
        user_id=actor.user_id,
        key=key,
        fingerprint=digest,
        payment_id=payment_id,
        refund_id=refund_id,
        product_id=product_id,
        stock_movement_id=stock_movement_id,
    )
    if not claimed:
        raise IdempotencyInFlight
