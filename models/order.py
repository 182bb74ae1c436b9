"""Orders: their tables and the queries that read them and move them on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import BigIntegerField, IntegerField, SmallIntegerField, TextField, UUIDField, fn

from models.connection import uuid_of
from models.listing import Listing, Sort
from models.product import ProductTable
from models.statement import Command, Parameter, Statement
from models.table import (
    NO_KEY_UPDATE,
    InstantField,
    Table,
    check,
    index,
    primary_key,
    reference,
    unique,
)
from models.user import UserTable


class OrderTable(Table):
    """Something bought."""

    id = UUIDField()
    number = TextField(collation='"C"')
    user = reference(UserTable, "fk_orders_user_id")
    status = TextField()
    currency = TextField()
    total = BigIntegerField()
    tracking_number = TextField(null=True)
    version = IntegerField()
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "orders"  # ORDER is a word of SQL's own
        constraints = (
            primary_key("pk_orders", "id"),
            unique("uq_orders_number", "number"),
            check(
                "ck_orders_status",
                "status IN ('PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'RETURNED')",
            ),
            check("ck_orders_currency", "currency ~ '^[A-Z]{3}$'"),
            check("ck_orders_total", "total BETWEEN 0 AND 9007199254740991"),
            check(
                "ck_orders_tracking_number",
                "tracking_number IS NULL OR status IN ('SHIPPED', 'DELIVERED', 'RETURNED')",
            ),
            check("ck_orders_version", "version >= 1"),
        )


for _name, _columns in {
    "ix_orders_user_id": "user_id, created_at, id",
    "ix_orders_created_at": "created_at, id",
    "ix_orders_status": "status, created_at, id",
    "ix_orders_total": "total, id",
}.items():
    index(OrderTable, _name, _columns)


class OrderItemTable(Table):
    """A line of an order."""

    order = reference(OrderTable, "fk_order_item_order_id")
    product = reference(ProductTable, "fk_order_item_product_id")
    position = SmallIntegerField()
    sku = TextField()
    name = TextField()
    unit_price = BigIntegerField()
    quantity = IntegerField()

    class Meta:
        """The table's name and constraints."""

        table_name = "order_item"
        constraints = (
            primary_key("pk_order_item", "order_id", "product_id"),
            check("ck_order_item_position", "position >= 1"),
            check("ck_order_item_unit_price", "unit_price >= 0"),
            check("ck_order_item_quantity", "quantity >= 1"),
        )


class OrderItem(NamedTuple):
    """A line of an order, as it was when the order was placed; amounts in minor units."""

    product_id: UUID
    sku: str
    name: str
    unit_price: int
    quantity: int

    @property
    def subtotal(self) -> int:
        """What the line costs."""
        return self.unit_price * self.quantity


class Order(NamedTuple):
    """An order with its lines; amounts in minor units of `currency`."""

    id: UUID
    number: str
    user_id: UUID
    status: str
    currency: str
    total: int
    tracking_number: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    items: tuple[OrderItem, ...]
    # What the one who asks may make of it; whoever reads an order for somebody fills this in.
    allowed_transitions: tuple[str, ...] = ()


def _order(columns: Sequence[Any]) -> Order:
    items = (OrderItem(uuid_of(line[0]), *line[1:]) for line in columns[-1])
    return Order._make((*columns[:-1], tuple(items), ()))


# The lines come along as one column, so that an order, or a page of them, is one round trip.
_ITEMS = OrderItemTable.select(
    fn.json_agg(
        fn.json_build_array(
            OrderItemTable.product,
            OrderItemTable.sku,
            OrderItemTable.name,
            OrderItemTable.unit_price,
            OrderItemTable.quantity,
        )
    ).order_by(OrderItemTable.position)
).where(OrderItemTable.order == OrderTable.id)

_ORDERS = OrderTable.select(
    OrderTable.id,
    OrderTable.number,
    OrderTable.user,
    OrderTable.status,
    OrderTable.currency,
    OrderTable.total,
    OrderTable.tracking_number,
    OrderTable.version,
    OrderTable.created_at,
    OrderTable.updated_at,
    _ITEMS,
)

FIND = Statement(_ORDERS.where(OrderTable.id == Parameter("order_id")), _order)

# The same, and nobody else moves it on before this transaction ends.
FIND_TO_CHANGE = Statement(
    _ORDERS.where(OrderTable.id == Parameter("order_id")).for_update(NO_KEY_UPDATE), _order
)

FIND_OWNER = Statement(
    OrderTable.select(OrderTable.user).where(OrderTable.id == Parameter("order_id")),
    lambda columns: columns[0],
)

MOVE_ON = Command(
    OrderTable.update(
        status=Parameter("status"),
        tracking_number=fn.coalesce(Parameter("tracking_number"), OrderTable.tracking_number),
        version=OrderTable.version + 1,
        updated_at=fn.clock_timestamp(),
    ).where(OrderTable.id == Parameter("order_id"))
)

ORDERS: Listing[Order] = Listing(
    _ORDERS,
    _order,
    id_field=OrderTable.id,
    sorts={
        "created_at": Sort(OrderTable.created_at, datetime, lambda order: order.created_at),
        "total": Sort(OrderTable.total, int, lambda order: order.total),
    },
    filters={
        "user_id": OrderTable.user == Parameter("user_id"),
        # One status is a condition of its own: only then does the index give the order as well.
        "status": OrderTable.status == Parameter("status"),
        "statuses": OrderTable.status == fn.any(Parameter("statuses")),
        "created_from": OrderTable.created_at >= Parameter("created_from"),
        "created_to": OrderTable.created_at < Parameter("created_to"),
        "min_total": OrderTable.total >= Parameter("min_total"),
        "max_total": OrderTable.total <= Parameter("max_total"),
        "number": OrderTable.number == Parameter("number"),
    },
)
