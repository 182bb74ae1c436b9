"""The timeline of an order: an append-only log of its status transitions and payments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import JOIN, BigIntegerField, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from models.order import OrderTable
from models.payment import PaymentTable
from models.refund import RefundTable
from models.user import UserTable


class OrderEventTable(Table):
    """Status transitions and payments of orders; placing an order is the first event.

    A payment event has the same `from_status` and `to_status`.
    """

    id = UUIDField()
    order = foreign_key(OrderTable, "fk_order_event_order_id")
    type = TextField()
    from_status = TextField(null=True)
    to_status = TextField()
    actor_kind = TextField()
    actor_user = foreign_key(UserTable, "fk_order_event_actor_user_id", null=True)
    request_id = TextField()
    created_at = InstantField()
    # Written only by servers of the version before during a rolling upgrade; otherwise null.
    reason = TextField(null=True)
    payment = foreign_key(PaymentTable, "fk_order_event_payment_id", null=True)
    refund = foreign_key(RefundTable, "fk_order_event_refund_id", null=True)
    amount = BigIntegerField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "order_event"
        constraints = (
            primary_key("pk_order_event", "id"),
            check(
                "ck_order_event_type",
                "type IN ('PLACED', 'STATUS_CHANGED', 'PAYMENT_CREATED', 'PAYMENT_SUCCEEDED',"
                " 'PAYMENT_FAILED', 'PAYMENT_CANCELED', 'PAYMENT_MISMATCHED', 'PAYMENT_KEPT',"
                " 'REFUND_CREATED', 'REFUND_SUCCEEDED', 'REFUND_FAILED', 'PERSONAL_DATA_ERASED',"
                " 'UPDATED')",
            ),
            check("ck_order_event_from_status", "(type = 'PLACED') = (from_status IS NULL)"),
            check("ck_order_event_actor_kind", "actor_kind IN ('PERSON', 'SYSTEM', 'PROVIDER')"),
            check("ck_order_event_actor", "(actor_kind = 'PERSON') = (actor_user_id IS NOT NULL)"),
            check(
                "ck_order_event_reason", "reason IS NULL OR char_length(reason) BETWEEN 1 AND 500"
            ),
        )


index(OrderEventTable, "ix_order_event_order_id", "order_id, created_at, id")


class OrderEventReasonTable(Table):
    """The reasons of events, which people have written: they can be deleted, to erase a person."""

    event = foreign_key(OrderEventTable, "fk_order_event_reason_event_id")
    reason = TextField()

    class Meta:
        """The table's name and constraints."""

        table_name = "order_event_reason"
        constraints = (
            primary_key("pk_order_event_reason", "event_id"),
            check("ck_order_event_reason_reason", "char_length(reason) BETWEEN 1 AND 500"),
        )


class OrderEventChangeTable(Table):
    """What an `UPDATED` event has changed: values that people have typed, which can be deleted."""

    event = foreign_key(OrderEventTable, "fk_order_event_change_event_id")
    member = TextField()
    before = TextField(null=True)
    after = TextField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "order_event_change"
        constraints = (
            primary_key("pk_order_event_change", "event_id", "member"),
            check("ck_order_event_change_values", "before IS DISTINCT FROM after"),
        )


class Change(NamedTuple):
    """A change of a member of the order."""

    member: str
    before: str | None
    after: str | None


class OrderEvent(NamedTuple):
    """One entry of the timeline. `actor_user_id` is None if no person caused it.

    `amount` is in minor units of the order's currency.
    """

    id: UUID
    type: str
    from_status: str | None
    to_status: str
    actor_kind: str
    actor_user_id: UUID | None
    request_id: str
    created_at: datetime
    reason: str | None
    payment_id: UUID | None
    refund_id: UUID | None
    amount: int | None
    currency: str
    order_id: UUID
    changes: tuple[Change, ...]


def _event(columns: Sequence[Any]) -> OrderEvent:
    changes = tuple(Change._make(change) for change in columns[-1] or ())
    return OrderEvent._make((*columns[:-1], changes))


_CURRENCY = OrderTable.select(OrderTable.currency).where(OrderTable.id == OrderEventTable.order)

# One JSON column, so that one round trip reads a page of events.
_CHANGES = OrderEventChangeTable.select(
    fn.json_agg(
        fn.json_build_array(
            OrderEventChangeTable.member,
            OrderEventChangeTable.before,
            OrderEventChangeTable.after,
        )
    ).order_by(OrderEventChangeTable.member.desc())
).where(OrderEventChangeTable.event == OrderEventTable.id)

_EVENTS = OrderEventTable.select(
    OrderEventTable.id,
    OrderEventTable.type,
    OrderEventTable.from_status,
    OrderEventTable.to_status,
    OrderEventTable.actor_kind,
    OrderEventTable.actor_user,
    OrderEventTable.request_id,
    OrderEventTable.created_at,
    fn.coalesce(OrderEventReasonTable.reason, OrderEventTable.reason),
    OrderEventTable.payment,
    OrderEventTable.refund,
    OrderEventTable.amount,
    _CURRENCY,
    OrderEventTable.order,
    _CHANGES,
).join(
    OrderEventReasonTable,
    JOIN.LEFT_OUTER,
    on=OrderEventReasonTable.event == OrderEventTable.id,
)

TIMELINE: Listing[OrderEvent] = Listing(
    _EVENTS,
    _event,
    id_field=OrderEventTable.id,
    sorts={
        "created_at": Sort(OrderEventTable.created_at, datetime, lambda event: event.created_at)
    },
    filters={"order_id": OrderEventTable.order == Parameter("order_id")},
    keys={"order_id"},
)

# The events of several orders, each order's oldest event first.
FIND_OF_ORDERS = Statement(
    _EVENTS.where(OrderEventTable.order == fn.any(Parameter("order_ids", "uuid[]"))).order_by(
        OrderEventTable.created_at, OrderEventTable.id
    ),
    _event,
)

# The event's time is the order's `updated_at`: run this after the order was updated. This is SQL,
# since Peewee does not support data-modifying common table expressions (CTEs).
INSERT = Command(
    """
    WITH event AS (
        INSERT INTO order_event (id, order_id, type, from_status, to_status, actor_kind,
            actor_user_id, request_id, payment_id, refund_id, amount, created_at)
        SELECT %(event_id)s, id, %(type)s, %(from_status)s, %(to_status)s, %(actor_kind)s,
            %(actor_user_id)s, %(request_id)s, %(payment_id)s, %(refund_id)s, %(amount)s, updated_at
        FROM orders WHERE id = %(order_id)s
        RETURNING id
    )
    INSERT INTO order_event_reason (event_id, reason)
    SELECT id, %(reason)s FROM event WHERE %(reason)s::text IS NOT NULL
    """
)

INSERT_CHANGE = Command(
    OrderEventChangeTable.insert(
        {
            OrderEventChangeTable.event: Parameter("event_id"),
            OrderEventChangeTable.member: Parameter("member"),
            OrderEventChangeTable.before: Parameter("before"),
            OrderEventChangeTable.after: Parameter("after"),
        }
    )
)
