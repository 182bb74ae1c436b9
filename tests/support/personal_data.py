"""Searches a whole database for what names a person."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tests.support.database import Sql

# Every column of every table, whatever its type. A new table cannot be missed.
_COLUMNS = """
    SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm')
        AND attnum > 0 AND NOT attisdropped
    ORDER BY relname, attnum
"""
# Columns of these types can contain any text.
_TEXT_COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type NOT IN ('uuid', 'boolean', 'smallint', 'integer',
        'bigint', 'timestamp with time zone', 'timestamp without time zone')
"""


def columns_with(sql: Sql, needles: Iterable[str]) -> dict[str, set[str]]:
    """Return the columns that contain one of these texts in any row, as `table.column`.

    Also finds them in other cases, and encoded: as bytes, in hexadecimal, Base64, JSON or a URL.
    """
    found: dict[str, set[str]] = {}
    for table, column in sql(_COLUMNS):
        rows = sql(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL')
        content = "\n".join(value for (value,) in rows).lower()
        for needle in needles:
            if any(variant.lower() in content for variant in _variants(needle)):
                found.setdefault(f"{table}.{column}", set()).add(needle)
    return found


def text_columns(sql: Sql) -> set[str]:
    """Return the columns that can contain any text, as `table.column`."""
    return {f"{table}.{column}" for table, column in sql(_TEXT_COLUMNS)}


def _variants(needle: str) -> Iterator[str]:
    content = needle.encode()
    yield needle
    yield content.hex()  # also how PostgreSQL shows bytea
    yield json.dumps(needle)[1:-1]
    yield json.dumps(needle)[1:-1].encode().hex()
    yield quote(needle)
    # The first and last characters of Base64 depend on what stands before and after.
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + content).decode().rstrip("=")
        yield encoded[(4 if offset else 0) : len(encoded) - len(encoded) % 4]
