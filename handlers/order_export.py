"""Orders as a CSV file with one row per line item.

Texts are escaped, so that a spreadsheet program does not run them as formulas.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.csv_text import escape
from domain.money import in_major_units
from handlers import csv_file
from handlers.representations import instant
from services.orders import Order

COLUMNS = (
    "order_number",
    "order_id",
    "status",
    "created_at",
    "updated_at",
    "customer_id",
    "customer_email",
    "customer_name",
    "recipient",
    "street",
    "addition",
    "postal_code",
    "city",
    "region",
    "country",
    "note",
    "tracking_number",
    "currency",
    "order_total",
    "line",
    "product_id",
    "sku",
    "name",
    "unit_price",
    "quantity",
    "subtotal",
)

_ADDRESS_FIELDS = ("recipient", "street", "addition", "postal_code", "city", "region", "country")


def as_csv(rows: Iterator[Order]) -> Iterator[bytes]:
    """Return the line items of orders as chunks of a CSV file."""
    return csv_file.chunks(COLUMNS, (cells for row in rows for cells in _csv_rows(row)))


def _csv_rows(row: Order) -> Iterator[list[str]]:
    address = row.shipping_address.without_none() if row.shipping_address else {}
    order_cells = [
        row.number,
        str(row.id),
        row.status,
        instant(row.created_at),
        instant(row.updated_at),
        str(row.user_id),
        *((escape(row.customer.email), escape(row.customer.name)) if row.customer else ("", "")),
        *(escape(address.get(field, "")) for field in _ADDRESS_FIELDS),
        escape(row.note or ""),
        escape(row.tracking_number or ""),
        row.currency,
        in_major_units(row.total, row.currency),
    ]
    for line_number, item in enumerate(row.items, start=1):
        yield [
            *order_cells,
            str(line_number),
            str(item.product_id),
            escape(item.sku),
            escape(item.name),
            in_major_units(item.unit_price, row.currency),
            str(item.quantity),
            in_major_units(item.subtotal, row.currency),
        ]
