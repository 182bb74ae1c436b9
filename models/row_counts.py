"""Counts the users, products and orders of the shop."""

from __future__ import annotations

from typing import NamedTuple

from database.statement import Statement
from models.order import OrderTable
from models.product import ProductTable
from models.user import UserTable

# The shop is empty if these tables are. The rows of all other tables refer to them, or are logs.
TABLES = tuple(table._meta.table_name for table in (UserTable, ProductTable, OrderTable))


class RowCounts(NamedTuple):
    """The numbers of rows of the main tables. Archived products and disabled users count."""

    users: int
    products: int
    orders: int


COUNT = Statement(
    "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM product), "
    "(SELECT count(*) FROM orders)",
    RowCounts._make,
)
