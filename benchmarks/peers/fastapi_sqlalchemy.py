"""FastAPI, Pydantic, SQLAlchemy 2's ORM and psycopg 3 (sync), as their documentation recommends.

Endpoints are synchronous functions, which FastAPI runs in threads, each with its own session. The
pool has as many connections as there are threads. It runs on uvloop and httptools, without an
access log.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from sqlalchemy import ForeignKey, create_engine, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    sessionmaker,
)
from uuid_utils.compat import uuid7

from benchmarks.peers.fastapi_models import (
    Item,
    Money,
    NewOrder,
    Order,
    Product,
    ProductPage,
    User,
)

THREADS = 40  # the number of threads that FastAPI uses for synchronous functions
engine = create_engine(
    os.environ["PEER_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1),
    pool_size=THREADS,
    max_overflow=0,
)
sessions = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class ProductRow(Base):
    __tablename__ = "product"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]
    price: Mapped[int]
    version: Mapped[int]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    stock: Mapped[StockRow] = relationship(lazy="raise")


class StockRow(Base):
    __tablename__ = "stock"
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"), primary_key=True)
    quantity: Mapped[int]


class OrderRow(Base):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    number: Mapped[str]
    user_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(default="PENDING")
    currency: Mapped[str] = mapped_column(default="EUR")
    total: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=func.now())
    updated_at: Mapped[datetime] = mapped_column(default=func.now())
    items: Mapped[list[ItemRow]] = relationship(lazy="raise", order_by="ItemRow.position")


class ItemRow(Base):
    __tablename__ = "order_item"
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int]
    sku: Mapped[str]
    name: Mapped[str]
    unit_price: Mapped[int]
    quantity: Mapped[int]


class MovementRow(Base):
    __tablename__ = "stock_movement"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID]
    kind: Mapped[str]
    delta: Mapped[int]
    quantity_after: Mapped[int]
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    actor_user_id: Mapped[UUID]
    request_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=func.clock_timestamp())


class EventRow(Base):
    __tablename__ = "order_event"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    type: Mapped[str]
    to_status: Mapped[str]
    actor_kind: Mapped[str]
    actor_user_id: Mapped[UUID]
    request_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=func.now())


class KeyRow(Base):
    __tablename__ = "idempotency_key"
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    order_id: Mapped[UUID]
    created_at: Mapped[datetime]


app = FastAPI()


def session() -> Iterator[Session]:
    """Open a session for one request."""
    with sessions() as opened:
        yield opened


Opened = Annotated[Session, Depends(session)]


@app.get("/api/v1/products/{product_id}")
def get_product(product_id: UUID, opened: Opened) -> Product:
    """Return one product."""
    row = opened.scalar(
        select(ProductRow)
        .options(joinedload(ProductRow.stock, innerjoin=True))
        .where(ProductRow.id == product_id, ProductRow.archived_at.is_(None))
    )
    if row is None:
        raise HTTPException(404)
    return _product(row)


@app.get("/api/v1/products")
def list_products(
    opened: Opened,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> ProductPage:
    """Return a page of products by name."""
    name = func.left(ProductRow.name, 64)
    query = (
        select(ProductRow)
        .options(joinedload(ProductRow.stock, innerjoin=True))
        .where(ProductRow.archived_at.is_(None))
        .order_by(name, ProductRow.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        after = json.loads(urlsafe_b64decode(cursor))
        query = query.where(tuple_(name, ProductRow.id) > (after[0], UUID(after[1])))
    rows = opened.scalars(query).all()
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = urlsafe_b64encode(json.dumps([last.name[:64], str(last.id)]).encode()).decode()
    return ProductPage(items=[_product(row) for row in rows[:limit]], next_cursor=following)


@app.post("/api/v1/orders", status_code=201)
def create_order(
    body: NewOrder,
    buyer: User,
    opened: Opened,
    idempotency_key: Annotated[str, Header(max_length=257)],
) -> Order:
    """Place an order, once for each idempotency key."""
    wanted: dict[UUID, int] = {}
    for line in body.items:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    fingerprint = hashlib.sha256(body.model_dump_json().encode()).digest()
    order_id = uuid7()
    # Foreign keys are checked at the end of each statement: insert the order before its items. So
    # its total must be known first.
    stocks = {
        stock.product_id: stock
        for stock in opened.scalars(
            select(StockRow)
            .where(StockRow.product_id.in_(wanted))
            .order_by(StockRow.product_id)
            .with_for_update()
        )
    }
    products = {
        product.id: product
        for product in opened.scalars(
            select(ProductRow).where(ProductRow.id.in_(wanted), ProductRow.archived_at.is_(None))
        )
    }
    earlier = opened.get(KeyRow, (buyer, idempotency_key))
    if earlier is not None:
        return _replayed(opened, earlier, fingerprint)
    if len(products) < len(wanted) or any(
        stocks[product_id].quantity < quantity for product_id, quantity in wanted.items()
    ):
        raise HTTPException(409)
    order = OrderRow(
        id=order_id,
        number="ORD-" + secrets.token_hex(4).upper(),
        user_id=buyer,
        total=sum(products[one].price * quantity for one, quantity in wanted.items()),
        items=[
            ItemRow(
                product_id=product_id,
                position=position,
                sku=products[product_id].sku,
                name=products[product_id].name,
                unit_price=products[product_id].price,
                quantity=quantity,
            )
            for position, (product_id, quantity) in enumerate(wanted.items(), 1)
        ],
    )
    for product_id, quantity in wanted.items():
        stocks[product_id].quantity -= quantity
    opened.add(order)
    opened.flush()
    opened.add_all(
        [
            MovementRow(
                product_id=product_id,
                kind="ORDER",
                delta=-quantity,
                quantity_after=stocks[product_id].quantity,
                order_id=order_id,
                actor_user_id=buyer,
                request_id=str(order_id),
            )
            for product_id, quantity in wanted.items()
        ]
    )
    opened.add(
        EventRow(
            order_id=order_id,
            type="PLACED",
            to_status="PENDING",
            actor_kind="PERSON",
            actor_user_id=buyer,
            request_id=str(order_id),
        )
    )
    claimed = opened.execute(
        insert(KeyRow)
        .values(
            user_id=buyer,
            key=idempotency_key,
            fingerprint=fingerprint,
            order_id=order_id,
            created_at=func.now(),
        )
        .on_conflict_do_nothing()
    )
    if not claimed.rowcount:  # a concurrent request has used this key
        opened.rollback()
        first = opened.get_one(KeyRow, (buyer, idempotency_key))
        return _replayed(opened, first, fingerprint)
    opened.commit()
    return _order(order)


@app.get("/api/v1/orders/{order_id}")
def get_order(order_id: UUID, buyer: User, opened: Opened) -> Order:
    """Return one of the user's own orders."""
    row = _found(opened, order_id)
    if row is None or row.user_id != buyer:
        raise HTTPException(404)
    return _order(row)


def _found(opened: Session, order_id: UUID) -> OrderRow | None:
    query = select(OrderRow).options(joinedload(OrderRow.items)).where(OrderRow.id == order_id)
    return opened.scalars(query).unique().one_or_none()


def _replayed(opened: Session, earlier: KeyRow, fingerprint: bytes) -> Order:
    if earlier.fingerprint != fingerprint:
        raise HTTPException(422)
    row = _found(opened, earlier.order_id)
    assert row is not None
    return _order(row)


def _product(row: ProductRow) -> Product:
    return Product(
        id=row.id,
        sku=row.sku,
        name=row.name,
        description=row.description,
        price=Money(amount=row.price),
        stock=row.stock.quantity,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _order(row: OrderRow) -> Order:
    facts: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("id", "number", "status", "user_id", "version", "created_at", "updated_at")
    }
    return Order(
        **facts,
        total=Money(amount=row.total),
        items=[
            Item(
                product_id=item.product_id,
                sku=item.sku,
                name=item.name,
                unit_price=Money(amount=item.unit_price),
                quantity=item.quantity,
                subtotal=Money(amount=item.unit_price * item.quantity),
            )
            for item in row.items
        ],
    )
