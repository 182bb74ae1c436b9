"""Idempotency keys: which request created which resource, so that a retry creates no other."""

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
    foreign_key,
    index,
    primary_key,
)
from models.order import OrderTable
from models.payment import PaymentTable
from models.product import ProductTable
from models.refund import RefundTable
from models.stock_movement import StockMovementTable
from models.user import UserTable


class IdempotencyKeyTable(Table):
    """The idempotency keys of users, with the created resource and a digest of the request."""

    user = foreign_key(UserTable, "fk_idempotency_key_user_id")
    key = TextField(collation='"C"')
    fingerprint = BlobField()
    order = foreign_key(OrderTable, "fk_idempotency_key_order_id", null=True)
    created_at = InstantField()
    payment = foreign_key(PaymentTable, "fk_idempotency_key_payment_id", null=True)
    refund = foreign_key(RefundTable, "fk_idempotency_key_refund_id", null=True)
    product = foreign_key(ProductTable, "fk_idempotency_key_product_id", null=True)
    stock_movement = foreign_key(
        StockMovementTable, "fk_idempotency_key_stock_movement_id", null=True
    )

    class Meta:
        """The table's name and constraints."""

        table_name = "idempotency_key"
        constraints = (
            primary_key("pk_idempotency_key", "user_id", "key"),
            check("ck_idempotency_key_fingerprint", "octet_length(fingerprint) = 32"),
            check(
                "ck_idempotency_key_created",
                "num_nonnulls(order_id, payment_id, refund_id, product_id, stock_movement_id) = 1",
            ),
        )


index(IdempotencyKeyTable, "ix_idempotency_key_created_at", "created_at, user_id, key")


class FirstRequest(NamedTuple):
    """The request that first used a key, as a digest, and the one resource that it created."""

    fingerprint: bytes
    order_id: UUID | None
    payment_id: UUID | None
    refund_id: UUID | None
    product_id: UUID | None
    stock_movement_id: UUID | None


FIND = Statement(
    IdempotencyKeyTable.select(
        IdempotencyKeyTable.fingerprint,
        IdempotencyKeyTable.order,
        IdempotencyKeyTable.payment,
        IdempotencyKeyTable.refund,
        IdempotencyKeyTable.product,
        IdempotencyKeyTable.stock_movement,
    ).where(
        IdempotencyKeyTable.user == Parameter("user_id"),
        IdempotencyKeyTable.key == Parameter("key"),
    ),
    lambda columns: FirstRequest(bytes(columns[0]), *columns[1:]),
)

# The statement that places an order (`models/placement.py`) inserts its key itself. Writes nothing
# if the user has used the key before. If a concurrent request has inserted the same key, this waits
# for that transaction to end.
CLAIM = Command(
    IdempotencyKeyTable.insert(
        {
            IdempotencyKeyTable.user: Parameter("user_id"),
            IdempotencyKeyTable.key: Parameter("key"),
            IdempotencyKeyTable.fingerprint: Parameter("fingerprint"),
            IdempotencyKeyTable.payment: Parameter("payment_id"),
            IdempotencyKeyTable.refund: Parameter("refund_id"),
            IdempotencyKeyTable.product: Parameter("product_id"),
            IdempotencyKeyTable.stock_movement: Parameter("stock_movement_id"),
            IdempotencyKeyTable.created_at: fn.now(),
        }
    ).on_conflict(
        conflict_target=[IdempotencyKeyTable.user, IdempotencyKeyTable.key], action="IGNORE"
    )
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
