"""Statements that place an order in one round trip, and that return an order's units to stock.

They are SQL, since Peewee does not support data-modifying common table expressions (CTEs). In
autocommit mode one statement is one transaction: it is atomic.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import uuid_utils

from database.statement import Command, Statement
from domain.money import MAX_AMOUNT
from models.order import OrderItem


class PlacedLine(NamedTuple):
    """A line item of the order that was placed; `total` and `created_at` are the order's."""

    total: int
    created_at: datetime
    item: OrderItem


# Returns no rows and writes nothing if the user was deleted, a product is not found or has too
# little stock, the total is too large, or the idempotency key was used before. Each CTE reads rows
# of an earlier one, so PostgreSQL runs them in this order:
#
# buyer    The user, unless deleted. The lock makes a deletion of the user wait for this order. If
#          the deletion came first, this waits for it, and finds no row. Stock is locked only
#          afterwards: an order that waits for a deletion does not make other orders wait.
# line     The requested products that are not archived, with their stock rows locked. Stock is
#          always locked in the order of the product ids: two orders with the same products cannot
#          deadlock. `available` is the quantity after the lock was acquired; a WHERE condition on
#          it here would be evaluated on the row version from before the lock.
# priced   One row with the total, if every line was found and is in stock, and the total is not too
#          large. Without this row, all later CTEs are empty. `placed_at` becomes the order's
#          `created_at`. It is read after the locks were acquired, since waiting for them can take
#          seconds: with an earlier time, the order would appear late in a time range that a client
#          may already have read.
# claim    Inserts the idempotency key. If a concurrent request has inserted the same key, this
#          waits for that transaction to end and then inserts nothing. Empty if there is no key.
# allowed  The row of `priced`, if there is no key or the key was claimed; otherwise empty.
# taken    Decrements the stock. It comes before all inserts of the order, so that the stock rows
#          are locked for a short time. PostgreSQL computes the new quantity from the statement's
#          snapshot first. If another transaction has added units while this one waited for the
#          lock, the check stock_not_negative can fail although there are enough units now. The
#          caller then retries with a new snapshot, from which the price is read too.
# placed   Inserts the order. If fewer stock rows were decremented than there are lines, the total
#          is null, which violates NOT NULL: a safeguard that should never be needed.
# item     Inserts the line items.
# movement Inserts the stock movements. Their time is clock_timestamp(), not now(): now() is when
#          the statement began, before it waited for locks, and stock movements are sorted by time.
# event    Inserts the first event of the order's timeline.
# confirmation Inserts the mail to the customer, if the shop sends one.
PLACE: Statement[PlacedLine] = Statement(
    f"""
    WITH buyer AS MATERIALIZED (
        SELECT id FROM users WHERE id = %(user_id)s AND deleted_at IS NULL FOR KEY SHARE
    ), line AS MATERIALIZED (
        SELECT wanted.*, product.sku, product.name, product.price, stock.quantity AS available
        FROM unnest(
            %(product_ids)s::uuid[], %(quantities)s::integer[], %(movement_ids)s::uuid[]
        ) WITH ORDINALITY AS wanted (product_id, quantity, movement_id, position)
        JOIN stock ON stock.product_id = wanted.product_id
        JOIN product ON product.id = wanted.product_id
        WHERE product.archived_at IS NULL AND EXISTS (SELECT FROM buyer)
        ORDER BY stock.product_id FOR NO KEY UPDATE OF stock
    ), priced AS MATERIALIZED (
        SELECT sum(price::numeric * quantity)::bigint AS total, clock_timestamp() AS placed_at
        FROM line
        HAVING count(*) = %(line_count)s AND bool_and(available >= quantity)
            AND sum(price::numeric * quantity) <= {MAX_AMOUNT}
    ), claim AS (
        INSERT INTO idempotency_key (user_id, key, fingerprint, order_id, created_at)
        SELECT %(user_id)s, %(key)s, %(fingerprint)s, %(order_id)s, now() FROM priced
        WHERE %(key)s::text IS NOT NULL
        ON CONFLICT (user_id, key) DO NOTHING
        RETURNING order_id
    ), allowed AS MATERIALIZED (
        SELECT total, placed_at FROM priced
        WHERE %(key)s::text IS NULL OR EXISTS (SELECT FROM claim)
    ), taken AS (
        UPDATE stock SET quantity = stock.quantity - line.quantity
        FROM allowed, line WHERE stock.product_id = line.product_id
        RETURNING stock.product_id, stock.quantity
    ), placed AS (
        INSERT INTO orders
            (id, number, user_id, status, currency, total, version, created_at, updated_at,
            shipping_address, note)
        SELECT %(order_id)s, %(number)s, %(user_id)s, 'PENDING', %(currency)s,
            CASE WHEN (SELECT count(*) FROM taken) = %(line_count)s THEN total END,
            1, placed_at, placed_at, %(shipping_address)s::jsonb, %(note)s::text
        FROM allowed
        RETURNING id, total, created_at
    ), item AS (
        INSERT INTO order_item (order_id, product_id, position, sku, name, unit_price, quantity)
        SELECT placed.id, product_id, position, sku, name, price, quantity FROM placed, line
    ), movement AS (
        INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, order_id,
            actor_user_id, request_id, created_at)
        SELECT movement_id, product_id, 'ORDER', -line.quantity, taken.quantity, placed.id,
            %(user_id)s, %(request_id)s, clock_timestamp()
        FROM placed, line JOIN taken USING (product_id)
    ), event AS (
        INSERT INTO order_event (id, order_id, type, to_status, actor_kind, actor_user_id,
            request_id, created_at)
        SELECT %(event_id)s, id, 'PLACED', 'PENDING', 'PERSON', %(user_id)s, %(request_id)s,
            created_at
        FROM placed
    ), confirmation AS (
        INSERT INTO mail (kind, subject_id, user_id, created_at, next_attempt_at)
        SELECT 'ORDER_PLACED', id, %(user_id)s, created_at, created_at FROM placed
        WHERE %(sends_mail)s
    )
    SELECT placed.total, placed.created_at, product_id, sku, name, price, quantity
    FROM placed, line ORDER BY position
    """,  # noqa: S608  # only a constant is interpolated
    lambda columns: PlacedLine(columns[0], columns[1], OrderItem._make(columns[2:])),
)

# Locks the rows for a group of orders in the same order as PLACE: the users first, so that no stock
# is locked while this waits for the deletion of a user; then the stock, by product id. Halves
# `lock_timeout` for the stock, since PostgreSQL applies it to each of two waits for a locked row:
# first in the queue of waiting sessions, then for the transaction that has locked the row.
LOCK_FOR_GROUP = Command(
    """
    WITH buyer AS MATERIALIZED (
        SELECT FROM users WHERE id = ANY (%(user_ids)s::uuid[]) ORDER BY id FOR KEY SHARE
    ), halved_timeout AS MATERIALIZED (
        SELECT set_config('lock_timeout', ceil(seconds * 500)::text, true)
        FROM extract(epoch FROM current_setting('lock_timeout')::interval) AS seconds
        WHERE (SELECT count(*) FROM buyer) > 0
    )
    SELECT FROM stock, halved_timeout WHERE product_id = ANY (%(product_ids)s::uuid[])
    ORDER BY product_id FOR NO KEY UPDATE OF stock
    """
)

# Adds an order's units to the stock and records the movements. Locks the stock rows in the order
# of the product ids, as PLACE does, so that the two cannot deadlock.
RETURN_STOCK = Command(
    """
    WITH returned AS MATERIALIZED (
        SELECT * FROM unnest(
            %(product_ids)s::uuid[], %(quantities)s::integer[], %(movement_ids)s::uuid[]
        ) AS line (product_id, quantity, movement_id)
    ), locked AS MATERIALIZED (
        SELECT product_id FROM stock WHERE product_id = ANY (%(product_ids)s::uuid[])
        ORDER BY product_id FOR NO KEY UPDATE
    ), updated AS (
        UPDATE stock SET quantity = stock.quantity + returned.quantity
        FROM locked, returned
        WHERE stock.product_id = locked.product_id AND returned.product_id = locked.product_id
        RETURNING stock.product_id, stock.quantity
    )
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, order_id,
        actor_user_id, request_id, created_at)
    SELECT movement_id, product_id, %(kind)s, returned.quantity, updated.quantity, %(order_id)s,
        %(actor_user_id)s, %(request_id)s, clock_timestamp()
    FROM returned JOIN updated USING (product_id)
    """
)


def uuid_array(ids: Iterable[UUID | uuid_utils.UUID]) -> str:
    """Return ids as the text of a PostgreSQL array; psycopg2 adapts a text faster than a list."""
    return f"{{{','.join(map(str, ids))}}}"


def integer_array(numbers: Iterable[int]) -> str:
    """Return integers as the text of a PostgreSQL array; see `uuid_array`."""
    return f"{{{','.join(map(str, numbers))}}}"
