"""Orders: their tables and the queries that read them and move them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import (
    SQL,
    BigIntegerField,
    Expression,
    Field,
    IntegerField,
    Select,
    SmallIntegerField,
    TextField,
    Tuple,
    UUIDField,
    fn,
)

from database.connection import uuid_of
from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE,
    NO_KEY_UPDATE_IF_FREE,
    InstantField,
    Table,
    check,
    index,
    primary_key,
    reference,
    unique,
)
from domain import order_status
from domain.address import ShippingAddress
from models.product import ProductTable
from models.user import UserTable


class DocumentField(Field):
    """A JSON document that is read and written whole."""

    field_type = "JSONB"


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
    shipping_address = DocumentField(null=True)
    note = TextField(null=True)

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
            check(
                "ck_orders_shipping_address",
                "shipping_address IS NULL OR jsonb_typeof(shipping_address) = 'object'",
            ),
            check("ck_orders_note", "note IS NULL OR char_length(note) BETWEEN 1 AND 1000"),
        )


index(OrderTable, "ix_orders_user_id", "user_id, created_at, id")
index(OrderTable, "ix_orders_status", "status, created_at, id")
index(
    OrderTable,
    "ix_orders_quarter",
    "status, date_trunc('quarter', created_at AT TIME ZONE 'UTC'), total, id",
    include="created_at",
)
index(
    OrderTable,
    "ix_orders_size",
    "status, length(total::text), created_at, id",
    include="total",
)


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


class Customer(NamedTuple):
    """Who ordered, as their account is now."""

    id: UUID
    email: str
    name: str


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
    shipping_address: ShippingAddress | None
    note: str | None
    items: tuple[OrderItem, ...]
    # Read for administrators alone.
    customer: Customer | None = None
    # What the one who asks may make of it; whoever reads an order for somebody fills this in.
    allowed_transitions: tuple[str, ...] = ()


def _order(columns: Sequence[Any]) -> Order:
    address, note, lines = columns[-3:]
    items = tuple(OrderItem(uuid_of(line[0]), *line[1:]) for line in lines)
    sent_to = ShippingAddress(**address) if address else None
    return Order._make((*columns[:-3], sent_to, note, items, None, ()))


def _order_and_customer(columns: Sequence[Any]) -> Order:
    order, (email, name) = _order(columns[:-1]), columns[-1]
    return order._replace(customer=Customer(order.user_id, email, name))


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
    OrderTable.shipping_address,
    OrderTable.note,
    _ITEMS,
)

# A column as well: were the account joined, the planner might begin with the accounts.
_CUSTOMER = UserTable.select(fn.json_build_array(UserTable.email, UserTable.name)).where(
    UserTable.id == OrderTable.user
)
_ORDERS_AND_CUSTOMERS = _ORDERS.select_extend(_CUSTOMER)

FIND = Statement(_ORDERS.where(OrderTable.id == Parameter("order_id")), _order)

FIND_WITH_CUSTOMER = Statement(
    _ORDERS_AND_CUSTOMERS.where(OrderTable.id == Parameter("order_id")), _order_and_customer
)

# The same, and nobody else moves it on before this transaction ends.
FIND_TO_CHANGE = Statement(
    _ORDERS.where(OrderTable.id == Parameter("order_id")).for_update(NO_KEY_UPDATE), _order
)

# An order that is waiting for its payment since `minutes` ago or longer. Passes over one that
# somebody else is moving on at this moment, so that nobody waits.
FIND_TO_EXPIRE = Statement(
    _ORDERS.where(
        OrderTable.id == Parameter("order_id"), OrderTable.status == order_status.PENDING
    ).for_update(NO_KEY_UPDATE_IF_FREE),
    _order,
)


class Unpaid(NamedTuple):
    """An order that waits for its payment, and since when."""

    created_at: datetime
    id: UUID


# The oldest after a place in their order; by the database's own clock, like the moment when they
# were placed.
UNPAID = Statement(
    OrderTable.select(OrderTable.created_at, OrderTable.id)
    .where(
        OrderTable.status == order_status.PENDING,
        OrderTable.created_at <= fn.now() - Parameter("minutes") * SQL("interval '1 minute'"),
        Expression(
            Tuple(OrderTable.created_at, OrderTable.id),
            ">",
            Tuple(Parameter("after_moment"), Parameter("after_id")),
        ),
    )
    .order_by(OrderTable.created_at, OrderTable.id)
    .limit(Parameter("limit")),
    Unpaid._make,
)

NOW: Statement[datetime] = Statement("SELECT clock_timestamp()", lambda columns: columns[0])

# Ids are made in order of time.
CURRENCY_OF_LATEST: Statement[str] = Statement(
    OrderTable.select(OrderTable.currency).order_by(OrderTable.id.desc()).limit(1),
    lambda columns: columns[0],
)

FIND_OWNER = Statement(
    OrderTable.select(OrderTable.user).where(OrderTable.id == Parameter("order_id")),
    lambda columns: columns[0],
)

# By the clock as it is while the row is locked: now() is when the transaction began, and it may
# have waited since for another step. Later than the step before even if the clock was set back, as
# in a failover to a server whose clock is behind: the timeline is read in the order of time.
MOVE_ON = Command(
    OrderTable.update(
        status=Parameter("status"),
        tracking_number=fn.coalesce(Parameter("tracking_number"), OrderTable.tracking_number),
        version=OrderTable.version + 1,
        updated_at=fn.greatest(
            fn.clock_timestamp(), OrderTable.updated_at + SQL("interval '1 microsecond'")
        ),
    ).where(OrderTable.id == Parameter("order_id"))
)


# When an order was placed, and how many digits its total has: `models/order_search.py` says why.
_QUARTER = fn.date_trunc("quarter", Expression(OrderTable.created_at, "AT TIME ZONE", SQL("'UTC'")))
_SIZE = fn.length(OrderTable.total.cast("text"))


def _listing(query: Select, row: Callable[[Sequence[Any]], Order]) -> Listing[Order]:
    return Listing(
        query,
        row,
        id_field=OrderTable.id,
        sorts={
            "created_at": Sort(OrderTable.created_at, datetime, lambda order: order.created_at),
            "total": Sort(OrderTable.total, int, lambda order: order.total),
        },
        filters={
            "user_id": OrderTable.user == Parameter("user_id"),
            "statuses": OrderTable.status == fn.any(Parameter("statuses", "text[]")),
            "created_from": OrderTable.created_at >= Parameter("created_from"),
            "created_to": OrderTable.created_at < Parameter("created_to"),
            "min_total": OrderTable.total >= Parameter("min_total"),
            "max_total": OrderTable.total <= Parameter("max_total"),
            "number": OrderTable.number == Parameter("number"),
        },
        any_of={
            "each_status": (OrderTable.status, "text[]"),
            "each_quarter": (_QUARTER, "timestamp[]"),
            "each_size": (_SIZE, "integer[]"),
        },
    )


ORDERS = _listing(_ORDERS, _order)

ORDERS_AND_CUSTOMERS = _listing(_ORDERS_AND_CUSTOMERS, _order_and_customer)
