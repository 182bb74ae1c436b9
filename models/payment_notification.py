"""Notifications (webhooks) of payment providers, and the outcome of their processing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import SQL, BlobField, IntegerField, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE,
    DocumentField,
    InstantField,
    Table,
    check,
    foreign_key,
    index,
    primary_key,
    unique,
)
from models.payment import PaymentTable
from models.refund import RefundTable


class PaymentNotificationTable(Table):
    """Notifications; the provider's event id ensures that each is stored once."""

    id = UUIDField()
    provider = TextField()
    event_id = TextField(collation='"C"')
    type = TextField()
    body = BlobField()
    news = DocumentField(null=True)
    payment = foreign_key(PaymentTable, "fk_payment_notification_payment_id", null=True)
    refund = foreign_key(RefundTable, "fk_payment_notification_refund_id", null=True)
    outcome = TextField(null=True)
    detail = TextField(null=True)
    deliveries = IntegerField(constraints=[SQL("DEFAULT 1")])
    next_check_at = InstantField(null=True)
    created_at = InstantField()
    processed_at = InstantField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "payment_notification"
        constraints = (
            primary_key("pk_payment_notification", "id"),
            unique("uq_payment_notification_event_id", "provider", "event_id"),
            check(
                "ck_payment_notification_outcome",
                "outcome IN ('APPLIED', 'DUPLICATE', 'UNMATCHED', 'IGNORED', 'FAILED')",
            ),
            check("ck_payment_notification_deliveries", "deliveries >= 1"),
        )


index(PaymentNotificationTable, "ix_payment_notification_created_at", "created_at, id")
index(
    PaymentNotificationTable,
    "ix_payment_notification_payment_id",
    "payment_id",
    where="payment_id IS NOT NULL",
)
index(
    PaymentNotificationTable,
    "ix_payment_notification_next_check_at",
    "next_check_at, id",
    where="next_check_at IS NOT NULL",
)


class PaymentNotification(NamedTuple):
    """A notification and its outcome, which is None until the notification was processed."""

    id: UUID
    provider: str
    event_id: str
    type: str
    outcome: str | None
    detail: str | None
    payment_id: UUID | None
    refund_id: UUID | None
    deliveries: int
    created_at: datetime
    processed_at: datetime | None


NOTIFICATIONS: Listing[PaymentNotification] = Listing(
    PaymentNotificationTable.select(
        PaymentNotificationTable.id,
        PaymentNotificationTable.provider,
        PaymentNotificationTable.event_id,
        PaymentNotificationTable.type,
        PaymentNotificationTable.outcome,
        PaymentNotificationTable.detail,
        PaymentNotificationTable.payment,
        PaymentNotificationTable.refund,
        PaymentNotificationTable.deliveries,
        PaymentNotificationTable.created_at,
        PaymentNotificationTable.processed_at,
    ),
    PaymentNotification._make,
    id_field=PaymentNotificationTable.id,
    sorts={
        "created_at": Sort(
            PaymentNotificationTable.created_at, datetime, lambda row: row.created_at
        )
    },
    filters={
        "provider": PaymentNotificationTable.provider == Parameter("provider"),
        "outcome": PaymentNotificationTable.outcome == Parameter("outcome"),
    },
)

# Returns the id if the notification is new. If a concurrent request has stored the same event, this
# waits for that transaction to end; then it counts another delivery and returns no row.
STORE: Statement[UUID] = Statement(
    """
    WITH stored AS (
        INSERT INTO payment_notification (id, provider, event_id, type, body, news, outcome, detail,
            next_check_at, created_at, processed_at)
        VALUES (%(notification_id)s, %(provider)s, %(event_id)s, %(type)s, %(body)s,
            %(news)s::jsonb, %(outcome)s, %(detail)s,
            CASE WHEN %(outcome)s::text IS NULL THEN clock_timestamp() + interval '15 seconds' END,
            clock_timestamp(),
            CASE WHEN %(outcome)s::text IS NOT NULL THEN clock_timestamp() END)
        ON CONFLICT (provider, event_id)
            DO UPDATE SET deliveries = least(payment_notification.deliveries, 2147483646) + 1
        RETURNING id
    )
    SELECT id FROM stored WHERE id = %(notification_id)s
    """,
    lambda columns: columns[0],
)


class StoredNews(NamedTuple):
    """The event of a notification that is not processed yet, or is unmatched."""

    provider: str
    news: Any


# Locks the notification, so that it is processed once.
FIND_TO_PROCESS = Statement(
    PaymentNotificationTable.select(
        PaymentNotificationTable.provider, PaymentNotificationTable.news
    )
    .where(
        PaymentNotificationTable.id == Parameter("notification_id"),
        fn.coalesce(PaymentNotificationTable.outcome, "UNMATCHED") == "UNMATCHED",
        PaymentNotificationTable.news.is_null(False),
    )
    .for_update(NO_KEY_UPDATE),
    StoredNews._make,
)

# An unmatched notification is checked again later; all others are done. The body is not kept if the
# customer was deleted: it can name the person.
RECORD_OUTCOME = Command(
    """
    UPDATE payment_notification SET outcome = %(outcome)s, detail = %(detail)s,
        payment_id = %(payment_id)s, refund_id = %(refund_id)s, processed_at = clock_timestamp(),
        next_check_at = CASE WHEN %(outcome)s::text = 'UNMATCHED' THEN next_check_at END,
        body = CASE WHEN EXISTS (
            SELECT FROM payment JOIN orders ON orders.id = payment.order_id
            JOIN users ON users.id = orders.user_id
            WHERE payment.id = %(payment_id)s AND users.deleted_at IS NOT NULL
        ) THEN '' ELSE body END
    WHERE id = %(notification_id)s
    """
)


class DueNotification(NamedTuple):
    """A notification that is due to be processed, and the seconds since it arrived."""

    id: UUID
    age: int


# Claims at most `limit` due notifications, with exponential backoff: the pause is half of the age,
# from 15 seconds to 10 minutes.
CLAIM_DUE: Statement[DueNotification] = Statement(
    """
    UPDATE payment_notification SET next_check_at = now() + greatest(
            interval '15 seconds', least((now() - created_at) / 2, interval '10 minutes'))
    WHERE id IN (
        SELECT id FROM payment_notification WHERE next_check_at <= now()
        ORDER BY next_check_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id, extract(epoch FROM now() - created_at)::integer
    """,
    DueNotification._make,
)

# The unmatched notifications that may concern this payment: they contain its id, or the provider's
# reference.
FIND_UNMATCHED: Statement[UUID] = Statement(
    """
    SELECT id FROM payment_notification
    WHERE next_check_at IS NOT NULL AND outcome = 'UNMATCHED' AND provider = %(provider)s
        AND (news->>'payment_id' = %(payment_id)s::text
            OR news->>'payment_reference' = %(reference)s)
    ORDER BY created_at, id
    """,
    lambda columns: columns[0],
)

# Also erases the body: nothing says whom it concerns, so it could not be erased with that person.
STOP_CHECKS = Command(
    """
    UPDATE payment_notification SET next_check_at = NULL, body = '' WHERE id = %(notification_id)s
    """
)
