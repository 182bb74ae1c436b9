"""How much a shop contains."""

from __future__ import annotations

from typing import NamedTuple

from database.statement import Statement
from models.order import OrderTable
from models.product import ProductTable
from models.user import UserTable

# What makes a shop not empty. All other rows belong to rows of these tables, or are logs.
TABLES = tuple(table._meta.table_name for table in (UserTable, ProductTable, OrderTable))


class Contents(NamedTuple):
    """The numbers of rows of the main tables. Archived products and disabled users count."""

    users: int
    products: int
    orders: int


COUNT = Statement(
    "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM product), "
    "(SELECT count(*) FROM orders)",
    Contents._make,
)
