"""Orders as a CSV file with one row per line item.

Text is escaped against CSV injection: no spreadsheet program evaluates it as a formula.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.csv_text import escape_formula
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


def as_csv(orders: Iterator[Order]) -> Iterator[bytes]:
    """Return the line items of orders as chunks of a CSV file."""
    return csv_file.chunks(COLUMNS, (cells for order in orders for cells in _csv_rows(order)))


def _csv_rows(order: Order) -> Iterator[list[str]]:
    address = order.shipping_address.without_none() if order.shipping_address else {}
    order_cells = [
        order.number,
        str(order.id),
        order.status,
        instant(order.created_at),
        instant(order.updated_at),
        str(order.user_id),
        *(
            (escape_formula(order.customer.email), escape_formula(order.customer.name))
            if order.customer
            else ("", "")
        ),
        *(escape_formula(address.get(field, "")) for field in _ADDRESS_FIELDS),
        escape_formula(order.note or ""),
        escape_formula(order.tracking_number or ""),
        order.currency,
        in_major_units(order.total, order.currency),
    ]
    for line_number, item in enumerate(order.items, start=1):
        yield [
            *order_cells,
            str(line_number),
            str(item.product_id),
            escape_formula(item.sku),
            escape_formula(item.name),
            in_major_units(item.unit_price, order.currency),
            str(item.quantity),
            in_major_units(item.subtotal, order.currency),
        ]
