"""Which request placed which order, so that repeating it does not place another."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from peewee import SQL, BlobField, TextField, Tuple, fn

from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE_IF_FREE,
    InstantField,
    Table,
    check,
    index,
    primary_key,
    reference,
)
from models.order import OrderTable
from models.user import UserTable


class IdempotencyKeyTable(Table):
    """A key that somebody gave, what they asked for with it, and what came of it."""

    user = reference(UserTable, "fk_idempotency_key_user_id")
    key = TextField(collation='"C"')
    fingerprint = BlobField()
    order = reference(OrderTable, "fk_idempotency_key_order_id")
    created_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "idempotency_key"
        constraints = (
            primary_key("pk_idempotency_key", "user_id", "key"),
            check("ck_idempotency_key_fingerprint", "octet_length(fingerprint) = 32"),
        )


index(IdempotencyKeyTable, "ix_idempotency_key_created_at", "created_at, user_id, key")


class FirstRequest(NamedTuple):
    """The request that a key was first given with."""

    fingerprint: bytes
    order_id: UUID


FIND = Statement(
    IdempotencyKeyTable.select(IdempotencyKeyTable.fingerprint, IdempotencyKeyTable.order).where(
        IdempotencyKeyTable.user == Parameter("user_id"),
        IdempotencyKeyTable.key == Parameter("key"),
    ),
    lambda columns: FirstRequest(bytes(columns[0]), columns[1]),
)

# Forgets the oldest keys, at most `limit` of them. Passes over those that another process is just
# forgetting, so that nobody waits.
FORGET = Command(
    IdempotencyKeyTable.delete().where(
        Tuple(IdempotencyKeyTable.user, IdempotencyKeyTable.key).in_(
            IdempotencyKeyTable.select(IdempotencyKeyTable.user, IdempotencyKeyTable.key)
            .where(
                IdempotencyKeyTable.created_at
                <= fn.now() - Parameter("hours") * SQL("interval '1 hour'")
            )
            .order_by(
                IdempotencyKeyTable.created_at, IdempotencyKeyTable.user, IdempotencyKeyTable.key
            )
            .limit(Parameter("limit"))
            .for_update(NO_KEY_UPDATE_IF_FREE)
        )
    )
)
