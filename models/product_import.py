"""Queries of the product import: each takes arrays, so one round trip handles hundreds of lines."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from database.statement import Command, Statement


class KnownProduct(NamedTuple):
    """A stored product; the import compares it with a line of the file."""

    id: UUID
    sku: str
    name: str
    description: str
    price: int
    stock: int
    archived: bool


# An advisory lock, held until the transaction ends, serializes imports: the second of two imports
# finds the products of the first, and two imports cannot deadlock.
LOCK_IMPORTS = Command("SELECT pg_advisory_xact_lock(hashtext('orderly import_products'))")

# Locks the products against updates until the import is committed; otherwise the import could
# overwrite a concurrent change. Locks in the order of the ids, so that it cannot deadlock.
FIND_BY_SKU: Statement[KnownProduct] = Statement(
    """
    SELECT id, sku, name, description, price, quantity, archived_at IS NOT NULL
    FROM product JOIN stock ON stock.product_id = product.id
    WHERE sku = ANY (%(skus)s::text[])
    ORDER BY product.id FOR NO KEY UPDATE OF product
    """,
    KnownProduct._make,
    prepared=False,
)

# Inserts products with their stock, and a movement for each stock that is not zero.
INSERT_MANY = Command(
    """
    WITH line AS MATERIALIZED (
        SELECT * FROM unnest(%(ids)s::uuid[], %(skus)s::text[], %(names)s::text[],
            %(descriptions)s::text[], %(prices)s::bigint[], %(stocks)s::integer[],
            %(movement_ids)s::uuid[])
            AS one (id, sku, name, description, price, stock, movement_id)
    ), added AS (
        INSERT INTO product (id, sku, name, description, price, version, created_at, updated_at)
        SELECT id, sku, name, description, price, 1, now(), now() FROM line
    ), stocked AS (
        INSERT INTO stock (product_id, quantity) SELECT id, stock FROM line
    )
    INSERT INTO stock_movement
        (id, product_id, kind, delta, quantity_after, actor_user_id, request_id, created_at)
    SELECT movement_id, id, 'INITIAL', stock, stock, %(actor_user_id)s, %(request_id)s,
        clock_timestamp()
    FROM line WHERE stock > 0
    """
)

UPDATE_MANY = Command(
    """
    UPDATE product SET name = line.name, description = line.description, price = line.price,
        version = version + 1, updated_at = clock_timestamp()
    FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(descriptions)s::text[], %(prices)s::bigint[])
        AS line (id, name, description, price)
    WHERE product.id = line.id
    """
)

# Sets stock quantities and records the differences as movements. Locks the stock rows in the order
# of the product ids, as placing an order does, so that the two cannot deadlock. A difference is
# relative to the quantity after the lock was acquired.
SET_STOCKS = Command(
    """
    WITH line AS MATERIALIZED (
        SELECT * FROM unnest(%(ids)s::uuid[], %(stocks)s::integer[], %(movement_ids)s::uuid[])
            AS one (id, stock, movement_id)
    ), before AS MATERIALIZED (
        SELECT product_id, quantity FROM stock WHERE product_id = ANY (%(ids)s::uuid[])
        ORDER BY product_id FOR NO KEY UPDATE
    ), changed AS (
        UPDATE stock SET quantity = line.stock FROM before, line
        WHERE stock.product_id = before.product_id AND line.id = before.product_id
            AND line.stock <> before.quantity
        RETURNING stock.product_id, stock.quantity - before.quantity AS delta, stock.quantity
    )
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, reason, actor_user_id,
        request_id, created_at)
    SELECT movement_id, id, 'ADJUSTMENT', delta, quantity, 'IMPORTED', %(actor_user_id)s,
        %(request_id)s, clock_timestamp()
    FROM changed JOIN line ON line.id = changed.product_id
    """
)
