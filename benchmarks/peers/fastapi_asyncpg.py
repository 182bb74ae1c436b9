"""FastAPI and asyncpg with hand-written SQL: asynchronous endpoints, prepared statements, a pool.

An order is one transaction of four statements. It writes orders, order_item and stock, but no
idempotency key, stock movements and events. It runs on uvloop and httptools, without an access log.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, HTTPException, Query, Request
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

CONNECTIONS = 16

_COLUMNS = (
    "p.id, p.sku, p.name, p.description, p.price, s.quantity, p.version, p.created_at, p.updated_at"
)
_PRODUCTS = (
    f"SELECT {_COLUMNS} FROM product p JOIN stock s ON s.product_id = p.id"
    " WHERE p.archived_at IS NULL"
)
_PAGE = 'ORDER BY "left"(p.name, 64), p.id LIMIT $1'
FIND = f"{_PRODUCTS} AND p.id = $1"
FIRST_PAGE = f"{_PRODUCTS} {_PAGE}"
NEXT_PAGE = f'{_PRODUCTS} AND ("left"(p.name, 64), p.id) > ($2, $3) {_PAGE}'
# In the sequence of the ids, so that orders cannot deadlock
LOCK = "SELECT product_id FROM stock WHERE product_id = ANY ($1) ORDER BY product_id FOR UPDATE"
TAKE = """
    UPDATE stock SET quantity = stock.quantity - wanted.quantity
    FROM unnest($1::uuid[], $2::int[]) AS wanted (product_id, quantity), product
    WHERE stock.product_id = wanted.product_id AND stock.quantity >= wanted.quantity
        AND product.id = wanted.product_id AND product.archived_at IS NULL
    RETURNING product.id, product.sku, product.name, product.price, wanted.quantity
"""
INSERT_ORDER = """
    INSERT INTO orders
        (id, number, user_id, status, currency, total, version, created_at, updated_at)
    VALUES ($1, $2, $3, 'PENDING', 'EUR', $4, 1, now(), now()) RETURNING created_at
"""
INSERT_ITEMS = """
    INSERT INTO order_item (order_id, product_id, position, sku, name, unit_price, quantity)
    SELECT $1, id, position, sku, name, price, quantity
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::int[])
        WITH ORDINALITY AS item (id, sku, name, price, quantity, position)
"""


@asynccontextmanager
async def lifespan(running: FastAPI) -> AsyncIterator[None]:
    """Open the pool."""
    async with asyncpg.create_pool(
        os.environ["PEER_DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS
    ) as pool:
        running.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/api/v1/products/{product_id}")
async def get_product(product_id: UUID, request: Request) -> Product:
    """Return one product."""
    row = await request.app.state.pool.fetchrow(FIND, product_id)
    if row is None:
        raise HTTPException(404)
    return _product(row)


@app.get("/api/v1/products")
async def list_products(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> ProductPage:
    """Return a page of products by name."""
    pool = request.app.state.pool
    if cursor is None:
        rows = await pool.fetch(FIRST_PAGE, limit + 1)
    else:
        name, last_id = json.loads(urlsafe_b64decode(cursor))
        rows = await pool.fetch(NEXT_PAGE, limit + 1, name, UUID(last_id))
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        position = json.dumps([last["name"][:64], str(last["id"])])
        following = urlsafe_b64encode(position.encode()).decode()
    return ProductPage(items=[_product(row) for row in rows[:limit]], next_cursor=following)


@app.post("/api/v1/orders", status_code=201)
async def create_order(body: NewOrder, buyer: User, request: Request) -> Order:
    """Place an order."""
    wanted: dict[UUID, int] = {}
    for line in body.items:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    ids = list(wanted)
    order_id, number = uuid7(), "ORD-" + secrets.token_hex(4).upper()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        if len(ids) > 1:
            await connection.execute(LOCK, ids)
        rows = await connection.fetch(TAKE, ids, list(wanted.values()))
        if len(rows) < len(wanted):
            raise HTTPException(409)
        total = sum(row["price"] * row["quantity"] for row in rows)
        created_at = await connection.fetchval(INSERT_ORDER, order_id, number, buyer, total)
        columns = ([row[name] for row in rows] for name in ("id", "sku", "name", "price"))
        await connection.execute(
            INSERT_ITEMS, order_id, *columns, [row["quantity"] for row in rows]
        )
    return Order(
        id=order_id,
        number=number,
        status="PENDING",
        user_id=buyer,
        items=[_item(row) for row in rows],
        total=Money(amount=total),
        version=1,
        created_at=created_at,
        updated_at=created_at,
    )


def _product(row: Any) -> Product:
    return Product(
        id=row["id"],
        sku=row["sku"],
        name=row["name"],
        description=row["description"],
        price=Money(amount=row["price"]),
        stock=row["quantity"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _item(row: Any) -> Item:
    return Item(
        product_id=row["id"],
        sku=row["sku"],
        name=row["name"],
        unit_price=Money(amount=row["price"]),
        quantity=row["quantity"],
        subtotal=Money(amount=row["price"] * row["quantity"]),
    )
