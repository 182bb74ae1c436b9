"""Connexion and Peewee without changes, with Connexion's validation and Peewee's connection pool.

Handlers are synchronous functions, which Connexion runs in worker threads. Queries are built for
each request.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import connexion
import jwt
import peewee
from connexion.exceptions import OAuthProblem
from playhouse.pool import PooledPostgresqlDatabase
from uuid_utils.compat import uuid7

THREADS = 40
KEY = os.environ["PEER_SIGNING_KEY"].encode("latin-1")
_url = urlsplit(os.environ["PEER_DATABASE_URL"])
database = PooledPostgresqlDatabase(
    _url.path.strip("/"),
    user=_url.username,
    password=unquote(_url.password or ""),
    host=parse_qs(_url.query)["host"][0],
    max_connections=THREADS,
    timeout=10,
    autoconnect=False,
)


class Row(peewee.Model):
    class Meta:
        database = database


class Product(Row):
    id = peewee.UUIDField(primary_key=True)
    sku = peewee.TextField()
    name = peewee.TextField()
    description = peewee.TextField()
    price = peewee.BigIntegerField()
    version = peewee.IntegerField()
    archived_at = peewee.DateTimeField(null=True)
    created_at = peewee.DateTimeField()
    updated_at = peewee.DateTimeField()


class Stock(Row):
    product = peewee.ForeignKeyField(Product, primary_key=True, backref="stocks", lazy_load=False)
    quantity = peewee.IntegerField()


class Order(Row):
    id = peewee.UUIDField(primary_key=True)
    number = peewee.TextField()
    user_id = peewee.UUIDField()
    status = peewee.TextField()
    currency = peewee.TextField()
    total = peewee.BigIntegerField()
    version = peewee.IntegerField()
    created_at = peewee.DateTimeField()
    updated_at = peewee.DateTimeField()

    class Meta:
        table_name = "orders"


class OrderItem(Row):
    order = peewee.ForeignKeyField(Order, backref="items", lazy_load=False)
    product_id = peewee.UUIDField()
    position = peewee.SmallIntegerField()
    sku = peewee.TextField()
    name = peewee.TextField()
    unit_price = peewee.BigIntegerField()
    quantity = peewee.IntegerField()

    class Meta:
        table_name = "order_item"
        primary_key = peewee.CompositeKey("order", "product_id")


class StockMovement(Row):
    id = peewee.UUIDField(primary_key=True)
    product_id = peewee.UUIDField()
    kind = peewee.TextField()
    delta = peewee.IntegerField()
    quantity_after = peewee.IntegerField()
    order_id = peewee.UUIDField()
    actor_user_id = peewee.UUIDField()
    request_id = peewee.TextField()
    created_at = peewee.DateTimeField()

    class Meta:
        table_name = "stock_movement"


class OrderEvent(Row):
    id = peewee.UUIDField(primary_key=True)
    order_id = peewee.UUIDField()
    type = peewee.TextField()
    to_status = peewee.TextField()
    actor_kind = peewee.TextField()
    actor_user_id = peewee.UUIDField()
    request_id = peewee.TextField()
    created_at = peewee.DateTimeField()

    class Meta:
        table_name = "order_event"


class IdempotencyKey(Row):
    user_id = peewee.UUIDField()
    key = peewee.TextField()
    fingerprint = peewee.BlobField()
    order_id = peewee.UUIDField()
    created_at = peewee.DateTimeField()

    class Meta:
        table_name = "idempotency_key"
        primary_key = peewee.CompositeKey("user_id", "key")


def connected(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Provide a handler with a connection while it runs."""

    @wraps(handler)
    def run(**arguments: Any) -> Any:
        with database.connection_context():
            return handler(**arguments)

    return run


def principal(token: str) -> dict[str, Any]:
    """Verify the access token."""
    try:
        return jwt.decode(token, KEY, algorithms=["HS256"], audience="orderly", issuer="orderly")
    except jwt.InvalidTokenError as error:
        raise OAuthProblem from error


@connected
def get_product(product_id: str) -> Any:
    """Return one product."""
    row = (
        Product.select(Product, Stock)
        .join(Stock, attr="stock")
        .where(Product.id == product_id, Product.archived_at.is_null())
        .first()
    )
    return (_product(row), 200) if row else (connexion.problem(404, "Not found", "None such."))


@connected
def list_products(limit: int = 20, cursor: str | None = None) -> Any:
    """Return a page of products by name."""
    name = peewee.fn.left(Product.name, 64)
    query = (
        Product.select(Product, Stock)
        .join(Stock, attr="stock")
        .where(Product.archived_at.is_null())
        .order_by(name, Product.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        after = json.loads(urlsafe_b64decode(cursor))
        query = query.where(peewee.Tuple(name, Product.id) > (after[0], UUID(after[1])))
    rows = list(query)
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = urlsafe_b64encode(json.dumps([last.name[:64], str(last.id)]).encode()).decode()
    return {"items": [_product(row) for row in rows[:limit]], "next_cursor": following}, 200


@connected
def create_order(body: dict[str, Any], user: str) -> Any:
    """Place an order, once for each idempotency key."""
    key = connexion.request.headers["idempotency-key"]
    wanted: dict[UUID, int] = {}
    for line in body["items"]:
        product_id = UUID(line["product_id"])
        wanted[product_id] = wanted.get(product_id, 0) + line["quantity"]
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    with database.atomic() as transaction:
        now = peewee.fn.now()
        quantities = {
            stock.product_id: stock.quantity
            for stock in Stock.select()
            .where(Stock.product.in_(list(wanted)))
            .order_by(Stock.product)
            .for_update()
        }
        products = {
            one.id: one
            for one in Product.select().where(
                Product.id.in_(list(wanted)), Product.archived_at.is_null()
            )
        }
        if earlier := IdempotencyKey.get_or_none(user_id=user, key=key):
            return _replayed(earlier, fingerprint)
        if len(products) < len(wanted) or any(quantities[one] < wanted[one] for one in wanted):
            return connexion.problem(409, "Not enough stock", "There is not enough.")
        order_id = uuid7()
        order = Order.create(
            force_insert=True,
            id=order_id,
            number="ORD-" + secrets.token_hex(4).upper(),
            user_id=user,
            status="PENDING",
            currency="EUR",
            total=sum(products[one].price * quantity for one, quantity in wanted.items()),
            version=1,
            created_at=now,
            updated_at=now,
        )
        items = [
            {
                "order": order_id,
                "product_id": one,
                "position": position,
                "sku": products[one].sku,
                "name": products[one].name,
                "unit_price": products[one].price,
                "quantity": quantity,
            }
            for position, (one, quantity) in enumerate(wanted.items(), 1)
        ]
        OrderItem.insert_many(items).execute()
        for one, quantity in wanted.items():
            Stock.update(quantity=Stock.quantity - quantity).where(Stock.product == one).execute()
        StockMovement.insert_many(
            [
                {
                    "id": uuid7(),
                    "product_id": one,
                    "kind": "ORDER",
                    "delta": -quantity,
                    "quantity_after": quantities[one] - quantity,
                    "order_id": order_id,
                    "actor_user_id": user,
                    "request_id": str(order_id),
                    "created_at": peewee.fn.clock_timestamp(),
                }
                for one, quantity in wanted.items()
            ]
        ).execute()
        OrderEvent.create(
            force_insert=True,
            id=uuid7(),
            order_id=order_id,
            type="PLACED",
            to_status="PENDING",
            actor_kind="PERSON",
            actor_user_id=user,
            request_id=str(order_id),
            created_at=now,
        )
        claimed = (
            IdempotencyKey.insert(
                user_id=user, key=key, fingerprint=fingerprint, order_id=order_id, created_at=now
            )
            .on_conflict_ignore()
            .as_rowcount()
            .execute()
        )
        if not claimed:  # a concurrent request has used this key
            transaction.rollback()
            return _replayed(IdempotencyKey.get(user_id=user, key=key), fingerprint)
        order = Order.get_by_id(order_id)  # reads the timestamps that the database has set
    return _order(order, items), 201


@connected
def get_order(order_id: str, user: str) -> Any:
    """Return one of the user's own orders."""
    order = Order.get_or_none(id=order_id)
    if order is None or str(order.user_id) != user:
        return connexion.problem(404, "Not found", "None such.")
    return _order(order, _items(order)), 200


def _replayed(earlier: IdempotencyKey, fingerprint: bytes) -> Any:
    if bytes(earlier.fingerprint) != fingerprint:
        return connexion.problem(422, "Key reused", "This key was used for another request.")
    order = Order.get_by_id(earlier.order_id)
    return _order(order, _items(order)), 201


def _items(order: Order) -> list[dict[str, Any]]:
    rows = OrderItem.select().where(OrderItem.order == order).order_by(OrderItem.position)
    return list(rows.dicts())


def _product(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "price": _money(row.price),
        "stock": row.stock.quantity,
        "version": row.version,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _order(row: Any, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "number": row.number,
        "status": row.status,
        "user_id": str(row.user_id),
        "items": [
            {
                "product_id": str(item["product_id"]),
                "sku": item["sku"],
                "name": item["name"],
                "unit_price": _money(item["unit_price"]),
                "quantity": item["quantity"],
                "subtotal": _money(item["unit_price"] * item["quantity"]),
            }
            for item in items
        ],
        "total": _money(row.total),
        "version": row.version,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


app = connexion.AsyncApp("benchmarks.peers")
app.add_api(str(Path(__file__).with_name("contract.yaml")), strict_validation=True)
