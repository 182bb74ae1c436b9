"""Orders: their tables, and the queries that read orders and update their status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import (
    SQL,
    BigIntegerField,
    Case,
    Expression,
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
    NO_KEY_UPDATE_SKIP_LOCKED,
    DocumentField,
    InstantField,
    Table,
    check,
    foreign_key,
    index,
    primary_key,
    unique,
)
from domain import order_status
from domain.address import ShippingAddress
from domain.payments import OrderBalance
from models.product import ProductTable
from models.user import UserTable


class OrderTable(Table):
    """Orders."""

    id = UUIDField()
    number = TextField(collation='"C"')
    user = foreign_key(UserTable, "fk_orders_user_id")
    status = TextField()
    currency = TextField()
    total = BigIntegerField()
    tracking_number = TextField(null=True)
    version = IntegerField()
    created_at = InstantField()
    updated_at = InstantField()
    shipping_address = DocumentField(null=True)
    note = TextField(null=True)
    # Null if the order is older than the payment table, and no payment was recorded since.
    amount_paid = BigIntegerField(null=True, constraints=[SQL("DEFAULT 0")])
    amount_refunded = BigIntegerField(constraints=[SQL("DEFAULT 0")])
    expires_at = InstantField(null=True)
    carrier = TextField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "orders"  # ORDER is a reserved word of SQL
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
            check("ck_orders_carrier", "char_length(carrier) BETWEEN 1 AND 64"),
            check("ck_orders_version", "version >= 1"),
            check(
                "ck_orders_shipping_address",
                "shipping_address IS NULL OR jsonb_typeof(shipping_address) = 'object'",
            ),
            check("ck_orders_note", "note IS NULL OR char_length(note) BETWEEN 1 AND 1000"),
            check(
                "ck_orders_amount_refunded",
                "amount_refunded BETWEEN 0 AND coalesce(amount_paid, 0)",
            ),
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
    """Line items of orders."""

    order = foreign_key(OrderTable, "fk_order_item_order_id")
    product = foreign_key(ProductTable, "fk_order_item_product_id")
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
    """A line item as it was when the order was placed; amounts in minor units."""

    product_id: UUID
    sku: str
    name: str
    unit_price: int
    quantity: int

    @property
    def subtotal(self) -> int:
        """The price of all units of this line."""
        return self.unit_price * self.quantity


class Customer(NamedTuple):
    """The user who placed an order, with their current email and name."""

    id: UUID
    email: str
    name: str


class Order(NamedTuple):
    """An order with its line items; amounts in minor units of `currency`."""

    id: UUID
    number: str
    user_id: UUID
    status: str
    currency: str
    total: int
    tracking_number: str | None
    carrier: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    amount_paid: int
    # Including pending refunds.
    amount_refunded: int
    # Null if the shop's usual time limit for payment applies.
    expires_at: datetime | None
    shipping_address: ShippingAddress | None
    note: str | None
    items: tuple[OrderItem, ...]
    # Read only for administrators.
    customer: Customer | None = None
    # The statuses that the caller may set. The queries leave this empty; the service fills it in.
    allowed_transitions: tuple[str, ...] = ()

    @property
    def balance(self) -> OrderBalance:
        """The total, payments and refunds."""
        return OrderBalance(self.status, self.total, self.amount_paid, self.amount_refunded)


def _order(columns: Sequence[Any]) -> Order:
    address, note, lines = columns[-3:]
    items = tuple(OrderItem(uuid_of(line[0]), *line[1:]) for line in lines)
    shipping_address = ShippingAddress(**address) if address else None
    return Order._make((*columns[:-3], shipping_address, note, items, None, ()))


def _order_with_customer(columns: Sequence[Any]) -> Order:
    order, (email, name) = _order(columns[:-1]), columns[-1]
    return order._replace(customer=Customer(order.user_id, email, name))


# The line items are one JSON column, so that one round trip reads an order, or a page of orders.
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

# An order that is older than the payment table counts as paid in full, unless it is pending or
# cancelled.
_AMOUNT_PAID = fn.coalesce(
    OrderTable.amount_paid,
    Case(
        None,
        [
            (
                OrderTable.status.in_([order_status.PENDING, order_status.CANCELLED]),
                SQL("0"),
            )
        ],
        OrderTable.total,
    ),
)

_ORDERS = OrderTable.select(
    OrderTable.id,
    OrderTable.number,
    OrderTable.user,
    OrderTable.status,
    OrderTable.currency,
    OrderTable.total,
    OrderTable.tracking_number,
    OrderTable.carrier,
    OrderTable.version,
    OrderTable.created_at,
    OrderTable.updated_at,
    _AMOUNT_PAID,
    OrderTable.amount_refunded,
    OrderTable.expires_at,
    OrderTable.shipping_address,
    OrderTable.note,
    _ITEMS,
)

# The customer is a JSON column too. With a join, the planner might start from the users table.
_CUSTOMER = UserTable.select(fn.json_build_array(UserTable.email, UserTable.name)).where(
    UserTable.id == OrderTable.user
)
_ORDERS_WITH_CUSTOMERS = _ORDERS.select_extend(_CUSTOMER)

FIND = Statement(_ORDERS.where(OrderTable.id == Parameter("order_id")), _order)

FIND_WITH_CUSTOMER = Statement(
    _ORDERS_WITH_CUSTOMERS.where(OrderTable.id == Parameter("order_id")), _order_with_customer
)

# Like FIND, but locks the row against updates until this transaction ends.
FIND_TO_CHANGE = Statement(
    _ORDERS.where(OrderTable.id == Parameter("order_id")).for_update(NO_KEY_UPDATE), _order
)

# A pending order, locked like FIND_TO_CHANGE; no row if another transaction has locked the order
# (SKIP LOCKED).
FIND_TO_EXPIRE = Statement(
    _ORDERS.where(
        OrderTable.id == Parameter("order_id"), OrderTable.status == order_status.PENDING
    ).for_update(NO_KEY_UPDATE_SKIP_LOCKED),
    _order,
)


class PendingOrderPosition(NamedTuple):
    """A position in the list of pending orders, oldest first, for keyset pagination."""

    created_at: datetime
    id: UUID


# The next page of the orders that have been pending for at least `minutes`, oldest first. Excludes
# orders with their own, later time limit (`expires_at`). `now()` is the database's clock, which
# also set `created_at`.
FIND_UNPAID = Statement(
    OrderTable.select(OrderTable.created_at, OrderTable.id)
    .where(
        OrderTable.status == order_status.PENDING,
        OrderTable.created_at <= fn.now() - Parameter("minutes") * SQL("interval '1 minute'"),
        fn.coalesce(OrderTable.expires_at, OrderTable.created_at) <= fn.now(),
        Expression(
            Tuple(OrderTable.created_at, OrderTable.id),
            ">",
            Tuple(Parameter("after_created_at"), Parameter("after_id")),
        ),
    )
    .order_by(OrderTable.created_at, OrderTable.id)
    .limit(Parameter("limit")),
    PendingOrderPosition._make,
)

# The current time; now() would return the start of the transaction.
NOW: Statement[datetime] = Statement("SELECT clock_timestamp()", lambda columns: columns[0])

# The currency of the latest order. Ids are UUIDs of version 7, which sort by the time when they
# were generated.
CURRENCY_OF_LATEST: Statement[str] = Statement(
    OrderTable.select(OrderTable.currency).order_by(OrderTable.id.desc()).limit(1),
    lambda columns: columns[0],
)

FIND_OWNER = Statement(
    OrderTable.select(OrderTable.user).where(OrderTable.id == Parameter("order_id")),
    lambda columns: columns[0],
)

# `updated_at` is clock_timestamp(), read while the row is locked. now() is the start of the
# transaction, which can be before a transition whose lock this transaction has waited for.
# `updated_at` always increases, even if the clock was set back (for example by a failover to a
# server whose clock is behind): the timeline is sorted by it.
_UPDATED_AT = fn.greatest(
    fn.clock_timestamp(), OrderTable.updated_at + SQL("interval '1 microsecond'")
)

# Adds `captured`, the amount that has just arrived. A null amount (see `amount_paid`) stays null
# while `captured` is 0.
_AMOUNT_PAID_AFTER = fn.coalesce(
    OrderTable.amount_paid + Parameter("captured", "bigint"),
    fn.nullif(Parameter("captured", "bigint"), SQL("0")),
)

UPDATE_STATUS = Command(
    OrderTable.update(
        status=Parameter("status"),
        amount_paid=_AMOUNT_PAID_AFTER,
        tracking_number=fn.coalesce(Parameter("tracking_number"), OrderTable.tracking_number),
        version=OrderTable.version + 1,
        updated_at=_UPDATED_AT,
    ).where(OrderTable.id == Parameter("order_id"))
)

UPDATE_SHIPMENT = Command(
    OrderTable.update(
        tracking_number=Parameter("tracking_number"),
        carrier=Parameter("carrier"),
        version=OrderTable.version + 1,
        updated_at=_UPDATED_AT,
    ).where(OrderTable.id == Parameter("order_id"))
)

# Adds to the amounts, and increments the version. For payment events that do not change the order's
# status: each event of the timeline has its own version of the order. Both amounts may be 0;
# `refunded` is negative if a refund has failed.
UPDATE_AMOUNTS = Command(
    OrderTable.update(
        amount_paid=_AMOUNT_PAID_AFTER,
        amount_refunded=OrderTable.amount_refunded + Parameter("refunded"),
        version=OrderTable.version + 1,
        updated_at=_UPDATED_AT,
    ).where(OrderTable.id == Parameter("order_id"))
)

# Sets the time limit for payment to `minutes` after the order was placed, for a manual payment.
# Null minutes restore the shop's usual time limit.
SET_EXPIRY = Command(
    OrderTable.update(
        expires_at=OrderTable.created_at
        + Parameter("minutes", "integer") * SQL("interval '1 minute'")
    ).where(OrderTable.id == Parameter("order_id"))
)


# The quarter in which an order was placed, and the number of digits of its total. Both are index
# expressions; `models/order_search.py` explains them.
_QUARTER = fn.date_trunc("quarter", Expression(OrderTable.created_at, "AT TIME ZONE", SQL("'UTC'")))
_TOTAL_LENGTH = fn.length(OrderTable.total.cast("text"))


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
            "each_total_length": (_TOTAL_LENGTH, "integer[]"),
        },
        keys={"user_id"},
    )


ORDERS = _listing(_ORDERS, _order)

ORDERS_WITH_CUSTOMERS = _listing(_ORDERS_WITH_CUSTOMERS, _order_with_customer)
