"""Inserts the demo's people, products and past orders, as if the shop had been open for weeks."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from domain import order_number
from domain.actor import DEMO
from domain.order_status import (
    CANCELLED,
    DELIVERED,
    HOLDING_UNITS,
    PAID,
    PENDING,
    RETURNED,
    SHIPPED,
    Party,
)
from models import demo as rows
from models.order import OrderItemTable, OrderTable
from models.order_event import OrderEventReasonTable, OrderEventTable
from models.payment import PaymentTable
from models.product import ProductTable, StockTable
from models.session import SessionTable
from models.stock_movement import StockMovementTable
from models.user import UserTable
from services.demo_data import (
    ADA,
    ADAS_PHONE,
    ARCHIVED_MUG,
    ARTICLES,
    GRACE,
    ORDERS,
    PHONE,
    Article,
    PastOrder,
    Person,
)
from services.process import configuration

# The sequence of statuses that leads to each status, which is its last element
_PATHS: dict[str, tuple[str, ...]] = {
    PENDING: (PENDING,),
    CANCELLED: (PENDING, CANCELLED),
    PAID: (PENDING, PAID),
    SHIPPED: (PENDING, PAID, SHIPPED),
    DELIVERED: (PENDING, PAID, SHIPPED, DELIVERED),
    RETURNED: (PENDING, PAID, SHIPPED, DELIVERED, RETURNED),
}
# Days from the placement of an order until it gets a status
_DAYS_AFTER_PLACEMENT = {PAID: 0.003, CANCELLED: 0.04, SHIPPED: 1.1, DELIVERED: 2.2, RETURNED: 3.4}
_OPENED = timedelta(days=45)
_EXPIRES = timedelta(days=30)


def insert(password_hashes: Mapping[Person, str]) -> None:
    """Insert all rows of the demo, in the caller's transaction."""
    now = datetime.now(UTC)
    history = _History(now)
    insert_people(password_hashes)
    rows.insert(SessionTable, [_phone(now)])
    for order in sorted(ORDERS, key=lambda order: -order.days_ago):
        history.add(order)
    history.insert()


def insert_people(password_hashes: Mapping[Person, str]) -> None:
    """Insert users, whose addresses are verified.

    Raises:
        EmailTaken: there is a user with such an email.
    """
    now = datetime.now(UTC)
    rows.insert(UserTable, [_user(one, now, hash_) for one, hash_ in password_hashes.items()])


def sandbox_payments() -> Iterator[tuple[UUID, int, bool]]:
    """Return the id and the amount of each payment at the sandbox, and whether it has succeeded."""
    prices = {article.sku: article.price for article in ARTICLES}
    for order in ORDERS:
        if order.payment is not None:
            total = sum(prices[sku] * quantity for sku, quantity in order.lines)
            yield order.payment, total, order.status == PAID


class _History:
    """Collects the rows of products and orders, with the stock of each product over time."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._currency = configuration().currency
        self._articles = {
            article.sku: article._replace(id=article.id or uuid7()) for article in ARTICLES
        }
        self._tables: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        self._movements: list[dict[str, Any]] = []
        self._stock = {sku: article.stock for sku, article in self._articles.items()}
        for order in ORDERS:
            if order.status in HOLDING_UNITS:
                for sku, quantity in order.lines:
                    self._stock[sku] += quantity
        for article in self._articles.values():
            self._add_product(article)

    def add(self, order: PastOrder) -> None:
        """Add an order, its line items, its timeline, its payment, and its stock movements."""
        placed_at = self._now - timedelta(days=order.days_ago)
        order = order._replace(id=order.id or uuid7(), number=order.number or order_number.new())
        total = sum(self._articles[sku].price * quantity for sku, quantity in order.lines)
        at = placed_at
        previous = None
        for status in _PATHS[order.status]:
            at = placed_at + timedelta(days=_DAYS_AFTER_PLACEMENT.get(status, 0))
            self._add_event(order, previous, status, at)
            previous = status
        self._add_order(order, total, placed_at, at)
        self._add_payment(order, total, placed_at)
        self._move_stock(order, "ORDER", -1, placed_at)
        if order.status not in HOLDING_UNITS:
            kind = "RETURN" if order.status == RETURNED else "RELEASE"
            self._move_stock(order, kind, 1, at)

    def insert(self) -> None:
        """Insert the collected rows."""
        movements = sorted(self._movements, key=lambda movement: movement["created_at"])
        stock: dict[UUID, int] = defaultdict(int)
        for movement in movements:
            stock[movement["product"]] += movement["delta"]
            movement["quantity_after"] = stock[movement["product"]]
        for table in (
            *(ProductTable, StockTable, OrderTable, OrderItemTable),
            *(PaymentTable, OrderEventTable, OrderEventReasonTable),
        ):
            rows.insert(table, self._tables[table])
        rows.insert(StockMovementTable, movements)

    def _add_product(self, article: Article) -> None:
        opened = self._now - _OPENED
        is_archived = article.id == ARCHIVED_MUG.id
        self._tables[ProductTable].append(
            {
                "id": article.id,
                "sku": article.sku,
                "name": article.name,
                "description": article.description,
                "price": article.price,
                "images": "[]",
                "version": 2 if is_archived else 1,
                "created_at": opened,
                "updated_at": opened,
                "archived_at": self._now if is_archived else None,
            }
        )
        self._tables[StockTable].append({"product": article.id, "quantity": article.stock})
        if self._stock[article.sku]:
            self._add_movement(article.sku, "INITIAL", self._stock[article.sku], opened, None)

    def _add_order(
        self, order: PastOrder, total: int, placed_at: datetime, updated_at: datetime
    ) -> None:
        street, postal_code, city, country = order.customer.address
        is_paid = PAID in _PATHS[order.status]
        is_sent = SHIPPED in _PATHS[order.status]
        self._tables[OrderTable].append(
            {
                "id": order.id,
                "number": order.number,
                "user": order.customer.id,
                "status": order.status,
                "currency": self._currency,
                "total": total,
                "tracking_number": f"0034043416109400{secrets.randbelow(10**4):04}"
                if is_sent
                else None,
                "carrier": "Royal Mail" if is_sent else None,
                "version": len(_PATHS[order.status]),
                "created_at": placed_at,
                "updated_at": updated_at,
                "shipping_address": orjson.dumps(
                    {
                        "recipient": order.customer.name,
                        "street": street,
                        "postal_code": postal_code,
                        "city": city,
                        "country": country,
                    }
                ).decode(),
                "note": order.note,
                "amount_paid": total if is_paid else 0,
                "amount_refunded": 0,
                "expires_at": self._now + _EXPIRES if order.status == PENDING else None,
            }
        )
        for position, (sku, quantity) in enumerate(order.lines, 1):
            article = self._articles[sku]
            self._tables[OrderItemTable].append(
                {
                    "order": order.id,
                    "product": article.id,
                    "position": position,
                    "sku": sku,
                    "name": article.name,
                    "unit_price": article.price,
                    "quantity": quantity,
                }
            )

    def _add_payment(self, order: PastOrder, total: int, placed_at: datetime) -> None:
        is_paid = PAID in _PATHS[order.status]
        if order.payment is None and not is_paid:
            return
        at = placed_at + timedelta(days=_DAYS_AFTER_PLACEMENT[PAID])
        self._tables[PaymentTable].append(
            {
                "id": order.payment or uuid7(),
                "order": order.id,
                "provider": "sandbox" if order.payment else "manual",
                "reference": f"sandbox_{order.payment.hex}" if order.payment else None,
                "method": None if order.payment else "BANK_TRANSFER",
                "amount": total,
                "amount_refunded": 0,
                "currency": self._currency,
                "status": "SUCCEEDED" if is_paid else "PENDING",
                "version": 2 if is_paid else 1,
                "created_at": at,
                "updated_at": at,
            }
        )

    def _add_event(self, order: PastOrder, previous: str | None, status: str, at: datetime) -> None:
        if status == PAID and order.payment is not None:
            kind, person = Party.PROVIDER.value, None
        else:
            by_customer = status in {PENDING, CANCELLED}
            kind, person = "PERSON", order.customer.id if by_customer else GRACE.id
        event_id = uuid7()
        self._tables[OrderEventTable].append(
            {
                "id": event_id,
                "order": order.id,
                "type": "PLACED" if previous is None else "STATUS_CHANGED",
                "from_status": previous,
                "to_status": status,
                "actor_kind": kind,
                "actor_user": person,
                "request_id": DEMO,
                "created_at": at,
            }
        )
        if status == CANCELLED:
            self._tables[OrderEventReasonTable].append(
                {"event": event_id, "reason": "Ordered the wrong grinder."}
            )

    def _move_stock(self, order: PastOrder, kind: str, sign: int, at: datetime) -> None:
        for sku, quantity in order.lines:
            self._add_movement(sku, kind, sign * quantity, at, order.id)

    def _add_movement(
        self, sku: str, kind: str, delta: int, at: datetime, order_id: UUID | None
    ) -> None:
        self._movements.append(
            {
                "id": uuid7(),
                "product": self._articles[sku].id,
                "kind": kind,
                "delta": delta,
                "order": order_id,
                "request_id": DEMO,
                "created_at": at,
            }
        )


def _user(person: Person, now: datetime, password_hash: str) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "password_hash": password_hash,
        "role": person.role,
        "active": True,
        "email_verified": True,
        "created_at": now - _OPENED,
        "updated_at": now - _OPENED,
    }


def _phone(now: datetime) -> dict[str, Any]:
    return {
        "id": ADAS_PHONE,
        "user": ADA.id,
        "user_agent": PHONE,
        "address": "",
        "created_at": now - timedelta(days=5),
        "last_used_at": now - timedelta(days=4),
        "expires_at": now + timedelta(days=26),
    }
