"""Products as CSV (RFC 4180), written row by row, safe to open in a spreadsheet and to import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from domain.csv_text import harmless
from domain.money import in_major_units
from services.configuration import configuration
from services.products import Product

COLUMNS = ("sku", "name", "description", "price", "currency", "stock")

# A chunk is sent once it has this many characters: fewer trips to the network, little memory.
_CHUNK_CHARACTERS = 1 << 16


def as_csv(rows: Iterator[Product]) -> Iterator[bytes]:
    """Return products as chunks of a CSV file, header first."""
    currency = configuration().currency
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        price = in_major_units(row.price, currency)
        writer.writerow(
            [row.sku, harmless(row.name), harmless(row.description), price, currency, row.stock]
        )
        if text.tell() >= _CHUNK_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
