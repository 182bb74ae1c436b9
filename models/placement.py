"""Placing an order: the whole of it in one statement, so in one round trip.

Written as SQL, since Peewee does not chain statements that write. As a statement of its own it is
its own transaction: all of it happens or none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from database.statement import Command, Statement
from domain.money import MAX_AMOUNT
from models.order import OrderItem


class PlacedLine(NamedTuple):
    """A line of an order that was placed; the order's own facts come with each."""

    total: int
    created_at: datetime
    item: OrderItem


# Gives no rows, and has written nothing, where the order cannot be placed as asked for or its
# idempotency key was used before. Each part reads the rows of one before it, so they run in this
# order:
#
# line     What is asked for and for sale, its stock locked, always in the order of the products'
#          ids, so that two orders with the same products never wait for each other crosswise.
#          `available` is what there is once the row is locked; a condition on it here would be
#          held against the row as it was before.
# bill     One row if all lines are there, in stock and not beyond counting; if not, none, and
#          with it everything after comes to nothing.
#          Its moment is that of the order: one that waited for a lock was placed when it had it,
#          not when it began to wait, or it would turn up in a window in time that was read before.
# claim    Claims the idempotency key. If another request with it is under way, this waits until
#          that is done, and then finds the key taken. (No key: nothing to claim.)
# taken    Takes the units; before any insert, so that the rows that others wait for are held as
#          briefly as can be. It is tried on the row as it was when the statement began, and breaks
#          the check stock_not_negative there if the units have come in while this waited: all is
#          to be done anew then, since the price, too, is that of when the statement began.
# placed   The order. Should a lock ever mean less than it does (on another engine), the check
#          stock_not_negative is there, and a total of null, which is refused, if units are missing.
# movement The ledger, by the clock as it is now: now() is when the statement began, before it
#          waited for the lock, and the ledger's order shall be that in which stock was taken.
PLACE: Statement[PlacedLine] = Statement(
    f"""
    WITH line AS MATERIALIZED (
        SELECT wanted.*, product.sku, product.name, product.price, stock.quantity AS available
        FROM unnest(
            %(product_ids)s::uuid[], %(quantities)s::integer[], %(movement_ids)s::uuid[]
        ) WITH ORDINALITY AS wanted (product_id, quantity, movement_id, position)
        JOIN stock ON stock.product_id = wanted.product_id
        JOIN product ON product.id = wanted.product_id
        WHERE product.archived_at IS NULL
        ORDER BY stock.product_id FOR NO KEY UPDATE OF stock
    ), bill AS MATERIALIZED (
        SELECT sum(price::numeric * quantity)::bigint AS total, clock_timestamp() AS moment
        FROM line
        HAVING count(*) = %(line_count)s AND bool_and(available >= quantity)
            AND sum(price::numeric * quantity) <= {MAX_AMOUNT}
    ), claim AS (
        INSERT INTO idempotency_key (user_id, key, fingerprint, order_id, created_at)
        SELECT %(user_id)s, %(key)s, %(fingerprint)s, %(order_id)s, now() FROM bill
        WHERE %(key)s::text IS NOT NULL
        ON CONFLICT (user_id, key) DO NOTHING
        RETURNING order_id
    ), allowed AS MATERIALIZED (
        SELECT total, moment FROM bill WHERE %(key)s::text IS NULL OR EXISTS (SELECT FROM claim)
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
            1, moment, moment, %(shipping_address)s::jsonb, %(note)s::text
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
    )
    SELECT placed.total, placed.created_at, product_id, sku, name, price, quantity
    FROM placed, line ORDER BY position
    """,  # noqa: S608  # the constant alone is put in here
    lambda columns: PlacedLine(columns[0], columns[1], OrderItem._make(columns[2:])),
)

# Gives an order's units back, in the order of the products' ids like everybody who takes some.
GIVE_BACK = Command(
    """
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
            %(product_ids)s::uuid[], %(quantities)s::integer[], %(movement_ids)s::uuid[]
        ) AS line (product_id, quantity, movement_id)
    ), locked AS MATERIALIZED (
        SELECT product_id FROM stock WHERE product_id = ANY (%(product_ids)s::uuid[])
        ORDER BY product_id FOR NO KEY UPDATE
    ), back AS (
        UPDATE stock SET quantity = stock.quantity + given.quantity
        FROM locked, given
        WHERE stock.product_id = locked.product_id AND given.product_id = locked.product_id
        RETURNING stock.product_id, stock.quantity
    )
    INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, order_id,
        actor_user_id, request_id, created_at)
    SELECT movement_id, product_id, %(kind)s, given.quantity, back.quantity, %(order_id)s,
        %(actor_user_id)s, %(request_id)s, clock_timestamp()
    FROM given JOIN back USING (product_id)
    """
)


def uuid_array(ids: Iterable[UUID]) -> str:
    """Return ids as the text of a PostgreSQL array, at less cost than a list of them."""
    return f"{{{','.join(map(str, ids))}}}"


def integer_array(numbers: Iterable[int]) -> str:
    """Return numbers as the text of a PostgreSQL array."""
    return f"{{{','.join(map(str, numbers))}}}"
