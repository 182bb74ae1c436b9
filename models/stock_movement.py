"""Stock movements: an append-only ledger with one row for every change of a stock quantity."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import IntegerField, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from models.order import OrderTable
from models.product import ProductTable
from models.user import UserTable


class StockMovementTable(Table):
    """Changes of stock quantities."""

    id = UUIDField()
    product = foreign_key(ProductTable, "fk_stock_movement_product_id")
    kind = TextField()
    delta = IntegerField()
    quantity_after = IntegerField()
    order = foreign_key(OrderTable, "fk_stock_movement_order_id", null=True)
    actor_user = foreign_key(UserTable, "fk_stock_movement_actor_user_id", null=True)
    reason = TextField(null=True)
    request_id = TextField()
    created_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "stock_movement"
        constraints = (
            primary_key("pk_stock_movement", "id"),
            check(
                "ck_stock_movement_kind",
                "kind IN ('INITIAL', 'ADJUSTMENT', 'ORDER', 'RELEASE', 'RETURN')",
            ),
            check(
                "ck_stock_movement_delta",
                "CASE kind WHEN 'ORDER' THEN delta < 0 WHEN 'ADJUSTMENT' THEN true"
                " ELSE delta > 0 END",
            ),
            check("ck_stock_movement_quantity_after", "quantity_after >= 0"),
            check(
                "ck_stock_movement_order",
                "(kind IN ('ORDER', 'RELEASE', 'RETURN')) = (order_id IS NOT NULL)",
            ),
        )


index(StockMovementTable, "ix_stock_movement_product_id", "product_id, created_at, id")
index(
    StockMovementTable,
    "uq_stock_movement_order",
    "order_id, product_id, kind",
    where="order_id IS NOT NULL",
    unique=True,
)


class StockMovement(NamedTuple):
    """A change of a product's stock: the difference, the reason, and the quantity after it."""

    id: UUID
    product_id: UUID
    kind: str
    delta: int
    stock_after: int
    reason: str | None
    order_id: UUID | None
    actor_user_id: UUID | None
    request_id: str
    created_at: datetime


_COLUMNS = (
    StockMovementTable.id,
    StockMovementTable.product,
    StockMovementTable.kind,
    StockMovementTable.delta,
    StockMovementTable.quantity_after,
    StockMovementTable.reason,
    StockMovementTable.order,
    StockMovementTable.actor_user,
    StockMovementTable.request_id,
    StockMovementTable.created_at,
)

LEDGER: Listing[StockMovement] = Listing(
    StockMovementTable.select(*_COLUMNS),
    StockMovement._make,
    id_field=StockMovementTable.id,
    sorts={
        "created_at": Sort(
            StockMovementTable.created_at, datetime, lambda movement: movement.created_at
        )
    },
    filters={"product_id": StockMovementTable.product == Parameter("product_id")},
    keys={"product_id"},
)

FIND = Statement(
    StockMovementTable.select(*_COLUMNS).where(StockMovementTable.id == Parameter("movement_id")),
    StockMovement._make,
)

# clock_timestamp() is read while the stock row is locked. So the sort order of the movements is the
# order in which the stock was changed.
INSERT_ADJUSTMENT = Statement(
    StockMovementTable.insert(
        {
            StockMovementTable.id: Parameter("movement_id"),
            StockMovementTable.product: Parameter("product_id"),
            StockMovementTable.kind: "ADJUSTMENT",
            StockMovementTable.delta: Parameter("delta"),
            StockMovementTable.quantity_after: Parameter("quantity_after"),
            StockMovementTable.reason: Parameter("reason"),
            StockMovementTable.actor_user: Parameter("actor_user_id"),
            StockMovementTable.request_id: Parameter("request_id"),
            StockMovementTable.created_at: fn.clock_timestamp(),
        }
    ).returning(*_COLUMNS),
    StockMovement._make,
)

INSERT_INITIAL = Command(
    StockMovementTable.insert(
        {
            StockMovementTable.id: Parameter("movement_id"),
            StockMovementTable.product: Parameter("product_id"),
            StockMovementTable.kind: "INITIAL",
            StockMovementTable.delta: Parameter("quantity"),
            StockMovementTable.quantity_after: Parameter("quantity"),
            StockMovementTable.actor_user: Parameter("actor_user_id"),
            StockMovementTable.request_id: Parameter("request_id"),
            StockMovementTable.created_at: fn.now(),
        }
    )
)
