"""Fills a shop for the benchmarks: accounts with access tokens, and products with large stocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg2
from uuid_utils.compat import uuid7

from benchmarks.growth import history
from services import access_tokens

ACCOUNTS = 50
PRODUCTS = 10_000
STOCK = 1_000_000_000


class Stock(NamedTuple):
    """The input of the load: files with one product id, or one access token, per line."""

    products: Path
    tokens: Path


def fill(url: str, directory: Path, past_orders: int = 0) -> Stock:
    """Fill an empty shop; with past orders, `benchmarks.growth.history` also makes the products."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        if past_orders:
            history.fill(url, past_orders)
            accounts = _ids(cursor, "users WHERE role = 'CLIENT'", ACCOUNTS)
            products = _ids(cursor, "product", PRODUCTS)
        else:
            accounts = [uuid7() for _ in range(ACCOUNTS)]
            products = [uuid7() for _ in range(PRODUCTS)]
            _insert(cursor, accounts, products)
    return Stock(
        _write_lines(directory / "products", map(str, products)),
        _write_lines(directory / "tokens", map(_token, accounts)),
    )


def _ids(cursor: Any, rows: str, number: int) -> list[UUID]:
    cursor.execute(f"SELECT id::text FROM {rows} ORDER BY id LIMIT {number}")
    return [UUID(id_) for (id_,) in cursor.fetchall()]


def _insert(cursor: Any, accounts: Sequence[UUID], products: Sequence[UUID]) -> None:
    for statement, ids in (
        (_ACCOUNTS, accounts),
        (_PRODUCTS, products),
        (_STOCK, products),
        (_MOVEMENTS, products),
    ):
        cursor.execute(statement, {"ids": [str(one) for one in ids], "stock": STOCK})
    for table, ids in (("bench_account", accounts), ("bench_product", products)):
        cursor.execute(f"CREATE TABLE {table} (n serial PRIMARY KEY, id uuid NOT NULL)")
        cursor.execute(
            f"INSERT INTO {table} (id) SELECT unnest(%s::uuid[])", [[str(one) for one in ids]]
        )
    # Without the empty tables: ANALYZE would record that they are empty, and PostgreSQL would plan
    # for empty tables until autovacuum analyzes them again a minute later.
    cursor.execute("ANALYZE users, product, stock, stock_movement, bench_account, bench_product")


def _write_lines(file: Path, lines: Iterable[str]) -> Path:
    file.write_text("\n".join(lines) + "\n")
    return file


def _token(account: UUID) -> str:
    return access_tokens.issue(user_id=account, role="CLIENT", session_id=uuid7())[0]


_ACCOUNTS = """
    INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at)
    SELECT id, 'buyer' || n || '@example.com', 'Buyer', '-', 'CLIENT', true, now(), now()
    FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS one (id, n)
"""
_PRODUCTS = """
    INSERT INTO product (id, sku, name, description, price, version, created_at, updated_at)
    SELECT id, 'SKU-' || n, 'Product ' || n, 'One of many.', 100 + n %% 900, 1, now(), now()
    FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS one (id, n)
"""
_STOCK = """
    INSERT INTO stock (product_id, quantity)
    SELECT unnest(%(ids)s::uuid[]), %(stock)s
"""
_MOVEMENTS = """
    INSERT INTO stock_movement
        (id, product_id, kind, delta, quantity_after, request_id, created_at)
    SELECT gen_random_uuid(), id, 'INITIAL', %(stock)s, %(stock)s, 'benchmark', now()
    FROM unnest(%(ids)s::uuid[]) AS one (id)
"""
