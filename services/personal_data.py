"""Everything that the shop has stored about a person, for that person.

A person can have thousands of orders, so the rows are read in batches while they are consumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from database.transactions import autocommit
from domain.actor import Actor
from domain.paging import Page
from models import mail as mails
from models import order as orders
from models import order_event, placement, security_event
from models import payment as payments
from models import refund as refunds
from models import session as sessions
from models.mail import MailRecord
from models.order import Order
from models.order_event import OrderEvent
from models.payment import Payment
from models.refund import Refund
from models.security_event import SecurityEvent
from models.session import StoredSession
from models.user import User
from services import security_events
from services.order_visibility import as_owner_sees
from services.users import get_me, get_user

__all__ = [
    "MailRecord",
    "OrderRecord",
    "PersonalData",
    "StoredSession",
    "export_me",
    "export_user",
]

Row = TypeVar("Row")

_BATCH_ROWS = 100


class OrderRecord(NamedTuple):
    """An order with its timeline and its payments; `refunds` are those of all its payments."""

    order: Order
    events: Sequence[OrderEvent]
    payments: Sequence[Payment]
    refunds: Sequence[Refund]


class PersonalData(NamedTuple):
    """Everything about a person. The iterators read from the database while they are consumed."""

    user: User
    sessions: Iterator[StoredSession]
    orders: Iterator[OrderRecord]
    security_events: Iterator[SecurityEvent]
    mails: Iterator[MailRecord]


def export_me(*, actor: Actor) -> PersonalData:
    """Return everything about the actor.

    Raises:
        SessionExpired: the account was deleted or disabled after the access token was issued.
    """
    return _export(actor, get_me(actor=actor), "export_me")


def export_user(*, actor: Actor, user_id: UUID) -> PersonalData:
    """Return everything about a user: the same as `export_me` returns to that user.

    Raises:
        NotFound: no user has this id.
    """
    return _export(actor, get_user(user_id=user_id), "export_user")


def _export(actor: Actor, user: User, operation_id: str) -> PersonalData:
    security_events.append(
        security_events.DATA_EXPORTED, actor=actor, user_id=user.id, detail=operation_id
    )
    return PersonalData(
        user,
        _rows(lambda cursor: _session_page(user.id, cursor)),
        _order_records(user.id),
        _rows(lambda cursor: _security_event_page(user.id, cursor)),
        _mails(user.id),
    )


def _rows(read_page: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
    cursor = None
    while True:
        page = read_page(cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


@autocommit
def _session_page(user_id: UUID, cursor: str | None) -> Page[StoredSession]:
    return sessions.SESSIONS.page(
        sort="created_at", limit=_BATCH_ROWS, cursor=cursor, user_id=user_id
    )


@autocommit
def _security_event_page(user_id: UUID, cursor: str | None) -> Page[SecurityEvent]:
    """Return a page of the events about a user. The client of another person is left out."""
    page = security_event.LOG.page(
        sort="created_at", limit=_BATCH_ROWS, cursor=cursor, user_id=user_id
    )
    rows = [
        row if row.actor_user_id in {None, user_id} else row._replace(address="", user_agent="")
        for row in page.items
    ]
    return Page(rows, page.next_cursor)


def _mails(user_id: UUID) -> Iterator[MailRecord]:
    kind, subject_id = "", UUID(int=0)
    while rows := _find_mails(user_id, kind, subject_id):
        yield from rows
        kind, subject_id = rows[-1].kind, rows[-1].subject_id


@autocommit
def _find_mails(user_id: UUID, after_kind: str, after_subject_id: UUID) -> list[MailRecord]:
    return mails.FIND_OF_USER.all(
        user_id=user_id,
        after_kind=after_kind,
        after_subject_id=after_subject_id,
        limit=_BATCH_ROWS,
    )


def _order_records(user_id: UUID) -> Iterator[OrderRecord]:
    cursor = None
    while True:
        page, next_cursor = _order_record_page(user_id, cursor)
        yield from page
        if next_cursor is None:
            return
        cursor = next_cursor


@autocommit
def _order_record_page(user_id: UUID, cursor: str | None) -> tuple[list[OrderRecord], str | None]:
    page = orders.ORDERS.page(sort="created_at", limit=_BATCH_ROWS, cursor=cursor, user_id=user_id)
    ids = placement.uuid_array(order.id for order in page.items)
    events = _grouped(
        [as_owner_sees(row, user_id) for row in order_event.FIND_OF_ORDERS.all(order_ids=ids)],
        lambda row: row.order_id,
    )
    paid = _grouped(payments.FIND_OF_ORDERS.all(order_ids=ids), lambda row: row.order_id)
    # As in `list_refunds`: the reasons are notes of the staff.
    refunded = _grouped(
        [row._replace(reason=None) for row in refunds.FIND_OF_ORDERS.all(order_ids=ids)],
        lambda row: row.payment_id,
    )
    records = [
        OrderRecord(
            order,
            events[order.id],
            paid[order.id],
            [refund for payment in paid[order.id] for refund in refunded[payment.id]],
        )
        for order in page.items
    ]
    return records, page.next_cursor


def _grouped(
    rows: Iterable[Row], key: Callable[[Row], Hashable]
) -> defaultdict[Hashable, list[Row]]:
    groups: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
