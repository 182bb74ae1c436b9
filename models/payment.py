"""Payments: their table, and the queries that read them and change their state.

Payments and refunds are changed only while their order is locked (`FIND_TO_CHANGE` of
`models/order.py`), so their rows need no locks of their own.
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
from domain.payments import OPEN_STATES, PaymentState
from models.due_check import claim_due, stop_checks
from models.order import OrderTable

MANUAL = "manual"


class PaymentTable(Table):
    """Payments of orders: attempts to pay, and money that an administrator has recorded."""

    id = UUIDField()
    order = foreign_key(OrderTable, "fk_payment_order_id")
    provider = TextField()
    reference = TextField(null=True)
    method = TextField(null=True)
    amount = BigIntegerField()
    amount_refunded = BigIntegerField(constraints=[SQL("DEFAULT 0")])
    currency = TextField()
    status = TextField()
    failure_code = TextField(null=True)
    client_secret = TextField(null=True)
    redirect_url = TextField(null=True)
    next_check_at = InstantField(null=True)
    checks = IntegerField(constraints=[SQL("DEFAULT 0")])
    version = IntegerField(constraints=[SQL("DEFAULT 1")])
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "payment"
        constraints = (
            primary_key("pk_payment", "id"),
            check("ck_payment_provider", "provider ~ '^[a-z]{1,20}$'"),
            check(
                "ck_payment_method",
                "method IS NULL OR provider = 'manual'"
                " AND method IN ('CASH', 'BANK_TRANSFER', 'OTHER')",
            ),
            check("ck_payment_amount", "amount BETWEEN 1 AND 9007199254740991"),
            check(
                "ck_payment_status",
                "status IN ('PENDING', 'PROCESSING', 'FAILED', 'CANCELED', 'SUCCEEDED')",
            ),
            check(
                "ck_payment_amount_refunded",
                "amount_refunded BETWEEN 0 AND CASE status WHEN 'SUCCEEDED' THEN amount ELSE 0 END",
            ),
            check("ck_payment_version", "version >= 1"),
        )


index(PaymentTable, "ix_payment_order_id", "order_id, created_at, id")
index(
    PaymentTable,
    "uq_payment_open",
    "order_id",
    unique=True,
    where="status IN ('PENDING', 'PROCESSING')",
)
index(
    PaymentTable,
    "uq_payment_reference",
    "provider, reference",
    unique=True,
    where="provider <> 'manual'",
)
index(
    PaymentTable, "ix_payment_next_check_at", "next_check_at, id", where="next_check_at IS NOT NULL"
)


class Payment(NamedTuple):
    """A payment; amounts in minor units of `currency`."""

    id: UUID
    order_id: UUID
    provider: str
    reference: str | None
    method: str | None
    amount: int
    amount_refunded: int
    currency: str
    status: PaymentState
    failure_code: str | None
    client_secret: str | None
    redirect_url: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    # The user who placed the order, and the order's number.
    user_id: UUID
    order_number: str

    @property
    def is_open(self) -> bool:
        """Whether the payment waits for the money."""
        return self.status in OPEN_STATES


def _payment(columns: Sequence[Any]) -> Payment:
    payment = Payment._make(columns)
    return payment._replace(status=PaymentState(payment.status))


_IS_OPEN = PaymentTable.status.in_([PaymentState.PENDING.value, PaymentState.PROCESSING.value])

_PAYMENTS = PaymentTable.select(
    PaymentTable.id,
    PaymentTable.order,
    PaymentTable.provider,
    PaymentTable.reference,
    PaymentTable.method,
    PaymentTable.amount,
    PaymentTable.amount_refunded,
    PaymentTable.currency,
    PaymentTable.status,
    PaymentTable.failure_code,
    PaymentTable.client_secret,
    PaymentTable.redirect_url,
    PaymentTable.version,
    PaymentTable.created_at,
    PaymentTable.updated_at,
    OrderTable.select(OrderTable.user).where(OrderTable.id == PaymentTable.order),
    OrderTable.select(OrderTable.number).where(OrderTable.id == PaymentTable.order),
)

FIND = Statement(_PAYMENTS.where(PaymentTable.id == Parameter("payment_id")), _payment)

FIND_OPEN = Statement(
    _PAYMENTS.where(PaymentTable.order == Parameter("order_id"), _IS_OPEN), _payment
)

FIND_BY_REFERENCE = Statement(
    _PAYMENTS.where(
        PaymentTable.provider == Parameter("provider"),
        PaymentTable.reference == Parameter("reference"),
        PaymentTable.provider != MANUAL,
    ),
    _payment,
)

# The payments of an order that are not fully refunded.
FIND_REFUNDABLE = Statement(
    _PAYMENTS.where(
        PaymentTable.order == Parameter("order_id"),
        PaymentTable.status == PaymentState.SUCCEEDED.value,
        PaymentTable.amount > PaymentTable.amount_refunded,
    ).order_by(PaymentTable.created_at, PaymentTable.id),
    _payment,
)

# The payments of several orders, oldest first.
FIND_OF_ORDERS = Statement(
    _PAYMENTS.where(PaymentTable.order == fn.any(Parameter("order_ids", "uuid[]"))).order_by(
        PaymentTable.created_at, PaymentTable.id
    ),
    _payment,
)

PAYMENTS: Listing[Payment] = Listing(
    _PAYMENTS,
    _payment,
    id_field=PaymentTable.id,
    sorts={
        "created_at": Sort(PaymentTable.created_at, datetime, lambda payment: payment.created_at)
    },
    filters={"order_id": PaymentTable.order == Parameter("order_id")},
    keys={"order_id"},
)

# `next_check_at` is `check_seconds` from now; null means never.
_CHECK_AT = fn.clock_timestamp() + Parameter("check_seconds", "integer") * SQL(
    "interval '1 second'"
)

INSERT = Command(
    PaymentTable.insert(
        {
            PaymentTable.id: Parameter("payment_id"),
            PaymentTable.order: Parameter("order_id"),
            PaymentTable.provider: Parameter("provider"),
            PaymentTable.reference: Parameter("reference"),
            PaymentTable.method: Parameter("method"),
            PaymentTable.amount: Parameter("amount"),
            PaymentTable.currency: Parameter("currency"),
            PaymentTable.status: Parameter("status"),
            PaymentTable.next_check_at: _CHECK_AT,
            PaymentTable.created_at: fn.clock_timestamp(),
            PaymentTable.updated_at: fn.clock_timestamp(),
        }
    )
)

# Stores details of the provider's response. A known reference never changes.
RECORD_DETAILS = Command(
    PaymentTable.update(
        reference=fn.coalesce(PaymentTable.reference, Parameter("reference")),
        client_secret=fn.coalesce(Parameter("client_secret"), PaymentTable.client_secret),
        redirect_url=fn.coalesce(Parameter("redirect_url"), PaymentTable.redirect_url),
        version=PaymentTable.version + 1,
        updated_at=fn.clock_timestamp(),
    ).where(PaymentTable.id == Parameter("payment_id"))
)

# Also stops the checks if the payment is no longer open.
UPDATE_STATUS = Command(
    """
    UPDATE payment SET status = %(status)s, failure_code = %(failure_code)s,
        next_check_at = CASE WHEN %(status)s::text IN ('PENDING', 'PROCESSING')
            THEN next_check_at END,
        version = version + 1, updated_at = clock_timestamp()
    WHERE id = %(payment_id)s
    """
)

# Writes nothing if the payment is already marked, or has another failure code.
MARK_MISMATCHED = Command(
    PaymentTable.update(
        failure_code="mismatch",
        version=PaymentTable.version + 1,
        updated_at=fn.clock_timestamp(),
    ).where(PaymentTable.id == Parameter("payment_id"), PaymentTable.failure_code.is_null())
)

# Records how a pending manual payment was paid.
UPDATE_MANUAL = Command(
    PaymentTable.update(
        amount=Parameter("amount"),
        method=Parameter("method"),
        reference=Parameter("reference"),
    ).where(PaymentTable.id == Parameter("payment_id"))
)

# Reserves a part of a payment for a refund; a negative amount releases it. The constraint
# ck_payment_amount_refunded rejects more than was captured.
RESERVE = Command(
    PaymentTable.update(
        amount_refunded=PaymentTable.amount_refunded + Parameter("amount"),
        version=PaymentTable.version + 1,
        updated_at=fn.clock_timestamp(),
    ).where(PaymentTable.id == Parameter("payment_id"))
)

# Makes the reconciliation job check the open payment of an order in its next run.
CHECK_NOW = Command(
    PaymentTable.update(next_check_at=fn.clock_timestamp(), checks=0).where(
        PaymentTable.order == Parameter("order_id"), _IS_OPEN, PaymentTable.provider != MANUAL
    )
)


CLAIM_DUE = claim_due("payment")
STOP_CHECKS = stop_checks("payment")
