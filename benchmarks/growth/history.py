"""Fills a shop with the orders of two years, including customers, products and stock movements.

Each table is filled by one statement, without indexes and without WAL, two tables at a time. Ten
million orders, which have 80 million rows in other tables, take some minutes. The data is
consistent, and `orderly audit` passes. Only `quantity_after` ignores returned units.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2

# PostgreSQL settings while the shop is filled. With wal_level=minimal, rows of a table that was
# truncated in the same transaction are not written to the WAL. After a crash, fill the shop again.
FILLING = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "768MB",
    "work_mem": "256MB",
    "autovacuum": "off",
}

ORDERS_PER_CUSTOMER = 20
STOCK = 1_000_000
_MIN_PRODUCTS = 10_000
_MAX_PRODUCTS = 100_000
_TABLES = ("orders", "order_item", "order_event", "stock_movement")


def fill(url: str, orders: int) -> None:
    """Fill an empty, migrated shop."""
    facts = {
        "orders": orders,
        "customers": max(orders // ORDERS_PER_CUSTOMER, 1),
        "products": min(max(orders // 100, _MIN_PRODUCTS), _MAX_PRODUCTS),
        "stock": STOCK,
    }
    connection = _connect(url)
    for statement in (_ADMINISTRATOR, _CUSTOMERS, _PRODUCTS, _SOLD, "ANALYZE sold"):
        _run(connection, statement, facts)
    definitions = _drop_indexes(connection)
    with ThreadPoolExecutor(2) as executor:
        halves = (("orders", "order_item"), ("order_event", "stock_movement"))
        list(executor.map(lambda tables: _load(url, tables, facts), halves))
        # Primary keys before the foreign keys that refer to them.
        for kind in ("CREATE", "p", "u", "f"):
            wanted = [text for found, text in definitions if found == kind]
            list(executor.map(lambda text: _run(_connect(url), text, {}), wanted))
        for statement in (_STOCKS, _KEYS, "DROP TABLE sold"):
            _run(connection, statement, facts)
        rest = ["users", "product", "stock", "idempotency_key"]
        list(executor.map(lambda table: _vacuum(url, table), [*_TABLES, *rest]))
    connection.close()


def _connect(url: str) -> Any:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def _run(connection: Any, statement: str, facts: dict[str, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, facts)


def _load(url: str, tables: Sequence[str], facts: dict[str, int]) -> None:
    for table in tables:
        connection = _connect(url)
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            # Skips foreign key checks: all rows are derived from the same table.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(f"TRUNCATE {table}")
            cursor.execute(_ROWS[table], facts)
        connection.close()


def _vacuum(url: str, table: str) -> None:
    _run(_connect(url), f"VACUUM (FREEZE, ANALYZE, PARALLEL 0) {table}", {})


def _drop_indexes(connection: Any) -> list[tuple[str, str]]:
    """Drop constraints and indexes; return the kind of each, and the SQL that recreates it."""
    with connection.cursor() as cursor:
        cursor.execute(_CONSTRAINTS, {"tables": list(_TABLES)})
        constraints = cursor.fetchall()
        definitions = [
            (kind, f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}")
            for kind, table, name, text in constraints
        ]
        for _, table, name, _ in sorted(constraints, key=lambda one: one[0] != "f"):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute(_INDEXES, {"tables": list(_TABLES)})
        for name, text in cursor.fetchall():
            definitions.append(("CREATE", text))
            cursor.execute(f"DROP INDEX {name}")
    return definitions


# NOT VALID: foreign keys are checked only for new rows. Checking all old rows takes minutes.
_CONSTRAINTS = """
    SELECT contype::text, relname, conname,
        pg_get_constraintdef(c.oid) || CASE contype WHEN 'f' THEN ' NOT VALID' ELSE '' END
    FROM pg_constraint AS c JOIN pg_class ON pg_class.oid = conrelid
    WHERE contype IN ('p', 'u', 'f')
        AND (relname = ANY (%(tables)s) OR confrelid = ANY (%(tables)s::regclass[]))
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY (%(tables)s)"


def _id(at: str, number: str) -> str:
    """Return SQL for a UUIDv7 with a number instead of random bits, which are slow to generate."""
    milliseconds = f"lpad(to_hex((date_part('epoch', {at}) * 1000)::bigint), 12, '0')"
    return f"({milliseconds} || '70008' || lpad(to_hex({number}), 15, '0'))::uuid"


_ADMINISTRATOR = """
    INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at)
    VALUES (gen_random_uuid(), 'admin@example.com', 'Administrator', '-', 'ADMIN', true,
        now() - interval '2 years', now() - interval '2 years')
"""
_CUSTOMERS = f"""
    INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at)
    SELECT {_id("at", "n::bigint")}, 'buyer' || n || '@example.com', 'Buyer ' || n, '-',
        'CLIENT', true, at, at
    FROM generate_series(1, %(customers)s) AS n,
        LATERAL (SELECT now() - (2 - n * 1.9 / %(customers)s) * interval '1 year' AS at) AS moment
"""
# Prices from 0.50 to some hundred euros, most of them low.
_PRODUCTS = f"""
    INSERT INTO product (id, sku, name, description, price, version, created_at, updated_at)
    SELECT {_id("at", "n::bigint")}, 'SKU-' || n, 'Product ' || n, 'One of many.',
        (50 * exp(random() * 7))::bigint, 1, at, at
    FROM generate_series(1, %(products)s) AS n,
        LATERAL (SELECT now() - interval '2 years' + n * interval '1 second' AS at) AS moment
"""

# One row for each order, from which the rows of all tables are derived. The orders are spread
# evenly over two years, so that a month has the same share of orders in both shops. Open orders are
# recent; the other statuses are random.
_SOLD = f"""
    CREATE UNLOGGED TABLE sold AS
    WITH buyer AS MATERIALIZED (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM users WHERE role = 'CLIENT'
    ), random_order AS (
        SELECT n, random() AS status_roll, 1 + (random() ^ 2 * 2.6)::int AS lines,
            (random() * (%(products)s - 1))::int AS first_product,
            (random() * (%(customers)s - 1))::int AS buyer_position,
            now() - ((%(orders)s - n + random()) / %(orders)s) * interval '2 years' AS at
        FROM generate_series(1, %(orders)s) AS n
    )
    SELECT n, {_id("at", "n::bigint")} AS order_id, buyer.id AS user_id, at, lines,
        first_product,
        CASE WHEN status_roll < 0.04 THEN 'CANCELLED' WHEN status_roll < 0.06 THEN 'RETURNED'
            WHEN n < 0.96 * %(orders)s OR status_roll < 0.5 THEN 'DELIVERED'
            WHEN status_roll < 0.7 THEN 'SHIPPED' WHEN status_roll < 0.85 THEN 'PAID' ELSE 'PENDING'
            END AS status
    FROM random_order JOIN buyer ON buyer.place = buyer_position
    ORDER BY n
"""
_LINES = """
    WITH offer AS MATERIALIZED (
        SELECT id, sku, name, price, row_number() OVER (ORDER BY id) - 1 AS place FROM product
    ), line AS (
        SELECT sold.*, position, 1 + (n + position) %% 2 AS quantity,
            (first_product + position * 977) %% %(products)s AS product_position
        FROM sold, LATERAL generate_series(1, lines) AS position
    )
"""
_ROWS = {
    "orders": f"""
        INSERT INTO orders (id, number, user_id, status, currency, total, tracking_number, version,
            created_at, updated_at, shipping_address)
        {_LINES}
        SELECT order_id,
            regexp_replace(lpad(upper(to_hex(n * 2654435761 %% 4294967296)), 8, '0'),
                '(....)', 'ORD-\\1-'),
            user_id, status, 'EUR', sum(price * quantity),
            CASE WHEN status IN ('SHIPPED', 'DELIVERED', 'RETURNED') THEN 'TRACK-' || n END,
            array_position(CASE status WHEN 'CANCELLED' THEN ARRAY['PENDING', 'CANCELLED']
                ELSE ARRAY['PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'RETURNED'] END, status),
            at, at,
            '{{"recipient": "Buyer", "street": "Long Road 7", "city": "Riga", "country": "LV"}}'
        FROM line JOIN offer ON offer.place = product_position
        GROUP BY n, order_id, user_id, status, at
        ORDER BY n
    """,
    "order_item": f"""
        INSERT INTO order_item (order_id, product_id, position, sku, name, unit_price, quantity)
        {_LINES}
        SELECT order_id, id, position, sku, name, price, quantity
        FROM line JOIN offer ON offer.place = product_position
    """,
    "order_event": f"""
        INSERT INTO order_event (id, order_id, type, from_status, to_status, actor_kind,
            actor_user_id, request_id, created_at)
        WITH step (status, place, from_status, to_status, later) AS (VALUES
            ('CANCELLED', 1, NULL, 'PENDING', interval '0'),
            ('CANCELLED', 2, 'PENDING', 'CANCELLED', interval '1 hour'),
            ('RETURNED', 5, 'DELIVERED', 'RETURNED', interval '10 days')
            UNION ALL
            SELECT status, place, from_status, to_status, later
            FROM (VALUES ('PENDING', 1), ('PAID', 2), ('SHIPPED', 3), ('DELIVERED', 4),
                ('RETURNED', 4)) AS reached (status, last),
            LATERAL (VALUES (1, NULL, 'PENDING', interval '0'),
                (2, 'PENDING', 'PAID', interval '5 minutes'),
                (3, 'PAID', 'SHIPPED', interval '1 day'),
                (4, 'SHIPPED', 'DELIVERED', interval '3 days'))
                AS along (place, from_status, to_status, later)
            WHERE place <= last
        )
        SELECT {_id("at + later", "n::bigint * 8 + place")}, order_id,
            CASE WHEN place = 1 THEN 'PLACED' ELSE 'STATUS_CHANGED' END, from_status, to_status,
            CASE WHEN to_status = 'CANCELLED' THEN 'SYSTEM' ELSE 'PERSON' END,
            CASE to_status WHEN 'PENDING' THEN user_id WHEN 'CANCELLED' THEN NULL ELSE admin.id END,
            'growth', least(at + later, now())
        FROM sold JOIN step USING (status), users AS admin
        WHERE admin.email = 'admin@example.com'
    """,
    "stock_movement": f"""
        INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, order_id,
            actor_user_id, request_id, created_at)
        {_LINES}
        SELECT {_id("at + later", "n::bigint * 64 + position * 8 + step")}, id, kind,
            sign * quantity,
            %(stock)s - n * 3 / %(products)s, order_id, user_id, 'growth', least(at + later, now())
        FROM line JOIN offer ON offer.place = product_position,
            LATERAL (VALUES ('ORDER', 1, -1, interval '0'),
                ('RELEASE', 2, 1, interval '1 hour'), ('RETURN', 3, 1, interval '10 days'))
                AS moved (kind, step, sign, later)
        WHERE kind = 'ORDER' OR kind = CASE status WHEN 'CANCELLED' THEN 'RELEASE'
            WHEN 'RETURNED' THEN 'RETURN' END
        UNION ALL
        SELECT id, id, 'INITIAL', %(stock)s, %(stock)s, NULL,
            NULL, 'growth', created_at
        FROM product
    """,
}
_STOCKS = """
    INSERT INTO stock (product_id, quantity)
    SELECT product_id, sum(delta) FROM stock_movement GROUP BY product_id
"""
# Only keys of the last day, since older keys are deleted.
_KEYS = """
    INSERT INTO idempotency_key (user_id, key, fingerprint, order_id, created_at)
    SELECT user_id, 'growth-' || n, sha256(n::text::bytea), order_id, at FROM sold
    WHERE at > now() - interval '1 day'
"""
