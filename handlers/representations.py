"""The JSON forms of rows, as the contract's response schemas define them.

UUIDs and timestamps become text when `responses.to_json` serialises them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from domain.paging import Page
from services.account_deletion import AccountDeletion
from services.mails import MailRequest
from services.orders import Order, OrderEvent, expires_at
from services.payment_notifications import PaymentNotification
from services.payments import Payment
from services.process import configuration
from services.product_files import ImportReport
from services.products import Product
from services.refunds import Refund
from services.sandbox import SandboxMail
from services.security_events import SecurityEvent
from services.sessions import OpenSession, Session
from services.stock import StockMovement
from services.time_slices import in_time_slices
from services.users import User

Representation = dict[str, Any]


def user(row: User) -> Representation:
    """Return a user as the contract's User."""
    return {
        "id": row.id,
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "active": row.active,
        "email_verified": row.email_verified,
        "created_at": row.created_at,
        "deleted_at": row.deleted_at,
    }


def account_deletion(row: AccountDeletion) -> Representation:
    """Return a deletion as the contract's AccountDeletion."""
    return {"user_id": row.user_id, "deleted_at": row.deleted_at}


def mail_request(row: MailRequest) -> Representation:
    """Return the request of a mail as the contract's MailRequest."""
    return row._asdict()


def session(row: Session) -> Representation:
    """Return a session as the contract's Session."""
    return {
        "id": row.id,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


def open_session(row: OpenSession, *, current_id: UUID | None) -> Representation:
    """Return a session as the contract's OpenSession. `current_id` is the caller's session."""
    return {
        "id": row.id,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": row.expires_at,
        "user_agent": printable(row.user_agent),
        "current": row.id == current_id,
    }


def security_event(row: SecurityEvent) -> Representation:
    """Return an entry of the security log as the contract's SecurityEvent."""
    return {
        "id": row.id,
        "type": row.type,
        "user_id": row.user_id,
        "actor_user_id": row.actor_user_id,
        "session_id": row.session_id,
        "from_role": row.from_role,
        "to_role": row.to_role,
        "product_id": row.product_id,
        "detail": row.detail,
        "address": row.address,
        "user_agent": printable(row.user_agent),
        "request_id": row.request_id,
        "created_at": row.created_at,
    }


def product(row: Product) -> Representation:
    """Return a product as the contract's Product."""
    return {
        "id": row.id,
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "price": _money(row.price, configuration().currency),
        "stock": row.stock,
        "images": row.images,
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "archived_at": row.archived_at,
    }


def stock_movement(row: StockMovement) -> Representation:
    """Return a stock movement as the contract's StockMovement."""
    return row._asdict()


def product_import(report: ImportReport) -> Representation:
    """Return the report of an import as the contract's ProductImport."""
    faults = [fault._asdict() for fault in report.faults]
    return {**vars(report), "faults": faults}


def order(row: Order) -> Representation:
    """Return an order as the contract's Order. All amounts are in the order's own currency."""
    return {
        "id": row.id,
        "number": row.number,
        "status": row.status,
        "allowed_transitions": row.allowed_transitions,
        "user_id": row.user_id,
        **({"customer": row.customer._asdict()} if row.customer else {}),
        "items": [
            {
                "product_id": item.product_id,
                "sku": item.sku,
                "name": item.name,
                "unit_price": _money(item.unit_price, row.currency),
                "quantity": item.quantity,
                "subtotal": _money(item.subtotal, row.currency),
            }
            for item in row.items
        ],
        "total": _money(row.total, row.currency),
        "payment_status": row.balance.payment_status,
        "amount_paid": _money(row.amount_paid, row.currency),
        "amount_refunded": _money(row.amount_refunded, row.currency),
        "expires_at": expires_at(row),
        "shipping_address": row.shipping_address.without_none() if row.shipping_address else None,
        "note": row.note,
        "tracking_number": row.tracking_number,
        "carrier": row.carrier,
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def order_event(row: OrderEvent) -> Representation:
    """Return an event of an order's timeline as the contract's OrderEvent."""
    return {
        "id": row.id,
        "type": row.type,
        "from_status": row.from_status,
        "to_status": row.to_status,
        "actor": {"kind": row.actor_kind, "user_id": row.actor_user_id},
        "reason": row.reason,
        "changes": [change._asdict() for change in row.changes],
        "payment_id": row.payment_id,
        "refund_id": row.refund_id,
        "amount": None if row.amount is None else _money(row.amount, row.currency),
        "request_id": row.request_id,
        "created_at": row.created_at,
    }


def payment(row: Payment) -> Representation:
    """Return a payment as the contract's Payment. Only open payments have a secret and a URL."""
    return {
        "id": row.id,
        "order_id": row.order_id,
        "provider": row.provider,
        "method": row.method,
        "reference": row.reference,
        "status": row.status,
        "amount": _money(row.amount, row.currency),
        "amount_refunded": _money(row.amount_refunded, row.currency),
        "failure_code": row.failure_code,
        "client_secret": row.client_secret if row.is_open else None,
        "redirect_url": row.redirect_url if row.is_open else None,
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def refund(row: Refund) -> Representation:
    """Return a refund as the contract's Refund."""
    return {
        "id": row.id,
        "payment_id": row.payment_id,
        "status": row.status,
        "amount": _money(row.amount, row.currency),
        "cause": row.cause,
        "reason": row.reason,
        "failure_code": row.failure_code,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def payment_notification(row: PaymentNotification) -> Representation:
    """Return a notification as the contract's PaymentNotification."""
    return row._asdict()


def page(
    rows: Page[Any],
    represent: Callable[[Any], Representation],
    path: str,
    query: Mapping[str, object],
) -> tuple[Representation, dict[str, str]]:
    """Return a page of a list, and the `Link` header (RFC 8288) with the URL of the next page.

    `path` and `query` are those of the request for this page, without the cursor.
    """
    items = list(map(represent, in_time_slices(rows.items)))
    body = {"items": items, "next_cursor": rows.next_cursor}
    if rows.next_cursor is None:
        return body, {}
    fields = [(name, text) for name, value in query.items() for text in _query_texts(value)]
    next_query = urlencode([*fields, ("cursor", rows.next_cursor)])
    return body, {"Link": f'<{path}?{next_query}>; rel="next"'}


def _query_texts(value: object) -> list[str]:
    """Return the texts of a parameter in a query string; a list has one text for each item."""
    if value is None:
        return []
    if isinstance(value, list):
        return [text for item in value for text in _query_texts(item)]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [instant(value) if isinstance(value, datetime) else str(value)]


def instant(moment: datetime) -> str:
    """Return a UTC timestamp as RFC 3339 text."""
    return moment.isoformat().replace("+00:00", "Z")


def printable(text: str) -> str:
    """Return a text that a client sent, with its control characters replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _money(amount: int, currency: str) -> Representation:
    return {"amount": amount, "currency": currency}


def sandbox_mail(row: SandboxMail) -> Representation:
    """Return a mail as the contract's SandboxMail."""
    return {
        "id": row.id,
        "sent_at": row.sent_at,
        "to": row.to,
        "subject": row.subject,
        "text": row.text,
        "html": row.html,
    }
