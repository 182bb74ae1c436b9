"""Refunds: their table, and the queries that read them and change their state.

Refunds, like payments, are changed only while the order is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import SQL, BigIntegerField, IntegerField, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from domain.payments import RefundCause, RefundState
from models.due_check import claim_due, stop_checks
from models.payment import PaymentTable


class RefundTable(Table):
    """Refunds of payments."""

    id = UUIDField()
    payment = foreign_key(PaymentTable, "fk_refund_payment_id")
    reference = TextField(null=True)
    amount = BigIntegerField()
    status = TextField()
    cause = TextField()
    reason = TextField(null=True)
    failure_code = TextField(null=True)
    next_check_at = InstantField(null=True)
    checks = IntegerField(constraints=[SQL("DEFAULT 0")])
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "refund"
        constraints = (
            primary_key("pk_refund", "id"),
            check("ck_refund_amount", "amount BETWEEN 1 AND 9007199254740991"),
            check("ck_refund_status", "status IN ('PENDING', 'SUCCEEDED', 'FAILED')"),
            check(
                "ck_refund_cause",
                "cause IN ('REQUESTED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'EXCESS_PAYMENT',"
                " 'PROVIDER')",
            ),
            check("ck_refund_reason", "reason IS NULL OR char_length(reason) BETWEEN 1 AND 500"),
        )


index(RefundTable, "ix_refund_payment_id", "payment_id, created_at, id")
index(RefundTable, "uq_refund_reference", "payment_id, reference", unique=True)
index(
    RefundTable,
    "uq_refund_automatic",
    "payment_id",
    unique=True,
    where="cause IN ('LATE_PAYMENT', 'EXCESS_PAYMENT')",
)
index(
    RefundTable, "ix_refund_next_check_at", "next_check_at, id", where="next_check_at IS NOT NULL"
)


class Refund(NamedTuple):
    """A refund; the amount is in minor units of `currency`."""

    id: UUID
    payment_id: UUID
    reference: str | None
    amount: int
    status: RefundState
    cause: RefundCause
    reason: str | None
    failure_code: str | None
    created_at: datetime
    updated_at: datetime
    currency: str


def _refund(columns: Sequence[Any]) -> Refund:
    refund = Refund._make(columns)
    return refund._replace(status=RefundState(refund.status), cause=RefundCause(refund.cause))


_REFUNDS = RefundTable.select(
    RefundTable.id,
    RefundTable.payment,
    RefundTable.reference,
    RefundTable.amount,
    RefundTable.status,
    RefundTable.cause,
    RefundTable.reason,
    RefundTable.failure_code,
    RefundTable.created_at,
    RefundTable.updated_at,
    PaymentTable.select(PaymentTable.currency).where(PaymentTable.id == RefundTable.payment),
)

FIND = Statement(_REFUNDS.where(RefundTable.id == Parameter("refund_id")), _refund)

FIND_BY_REFERENCE = Statement(
    _REFUNDS.where(
        RefundTable.payment == Parameter("payment_id"),
        RefundTable.reference == Parameter("reference"),
    ),
    _refund,
)

# The refunds of several orders, oldest first.
FIND_OF_ORDERS = Statement(
    _REFUNDS.where(
        RefundTable.payment.in_(
            PaymentTable.select(PaymentTable.id).where(
                PaymentTable.order == fn.any(Parameter("order_ids", "uuid[]"))
            )
        )
    ).order_by(RefundTable.created_at, RefundTable.id),
    _refund,
)

REFUNDS: Listing[Refund] = Listing(
    _REFUNDS,
    _refund,
    id_field=RefundTable.id,
    sorts={"created_at": Sort(RefundTable.created_at, datetime, lambda refund: refund.created_at)},
    filters={"payment_id": RefundTable.payment == Parameter("payment_id")},
    keys={"payment_id"},
)

INSERT = Command(
    RefundTable.insert(
        {
            RefundTable.id: Parameter("refund_id"),
            RefundTable.payment: Parameter("payment_id"),
            RefundTable.reference: Parameter("reference"),
            RefundTable.amount: Parameter("amount"),
            RefundTable.status: Parameter("status"),
            RefundTable.cause: Parameter("cause"),
            RefundTable.reason: Parameter("reason"),
            RefundTable.next_check_at: fn.clock_timestamp()
            + Parameter("check_seconds", "integer") * SQL("interval '1 second'"),
            RefundTable.created_at: fn.clock_timestamp(),
            RefundTable.updated_at: fn.clock_timestamp(),
        }
    )
)

# Also stops the checks if the refund is no longer pending.
UPDATE_STATUS = Command(
    """
    UPDATE refund SET status = %(status)s, failure_code = %(failure_code)s,
        reference = coalesce(reference, %(reference)s),
        next_check_at = CASE WHEN %(status)s::text = 'PENDING' THEN next_check_at END,
        updated_at = clock_timestamp()
    WHERE id = %(refund_id)s
    """
)

CLAIM_DUE = claim_due("refund")
STOP_CHECKS = stop_checks("refund")
