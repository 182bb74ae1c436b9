"""Idempotency keys: which request placed which order, so that a retry does not place another."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from peewee import SQL, BlobField, TextField, Tuple, fn

from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE_SKIP_LOCKED,
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
    """The idempotency keys of users, each with a digest of the request and the order it placed."""

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
    """The request that first used a key, as a digest, and the order that it placed."""

    fingerprint: bytes
    order_id: UUID


FIND = Statement(
    IdempotencyKeyTable.select(IdempotencyKeyTable.fingerprint, IdempotencyKeyTable.order).where(
        IdempotencyKeyTable.user == Parameter("user_id"),
        IdempotencyKeyTable.key == Parameter("key"),
    ),
    lambda columns: FirstRequest(bytes(columns[0]), columns[1]),
)

# Deletes at most `limit` keys that are older than `hours`, oldest first. SKIP LOCKED skips the keys
# that another process is deleting, so that no process waits.
PURGE = Command(
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
            .for_update(NO_KEY_UPDATE_SKIP_LOCKED)
        )
    )
)
