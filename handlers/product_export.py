"""Products as a CSV file that can be imported again.

Text is escaped, so that a spreadsheet program does not run it as a formula (CSV injection).
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.csv_text import escape_formula
from domain.money import in_major_units
from handlers import csv_file
from services.process import configuration
from services.products import Product

COLUMNS = ("sku", "name", "description", "price", "currency", "stock")


def as_csv(rows: Iterator[Product]) -> Iterator[bytes]:
    """Return products as chunks of a CSV file."""
    return csv_file.chunks(COLUMNS, map(_cells, rows))


def _cells(row: Product) -> list[object]:
    currency = configuration().currency
    price = in_major_units(row.price, currency)
    return [
        row.sku,
        escape_formula(row.name),
        escape_formula(row.description),
        price,
        currency,
        row.stock,
    ]
