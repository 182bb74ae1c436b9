"""The ledger of the stock: every change of a quantity is one row here, and none ever changes."""

from __future__ import annotations

from peewee import IntegerField, TextField, UUIDField, fn

from models.order import OrderTable
from models.product import ProductTable
from models.statement import Command, Parameter
from models.table import InstantField, Table, check, index, primary_key, reference
from models.user import UserTable


class StockMovementTable(Table):
    """Units that came or went."""

    id = UUIDField()
    product = reference(ProductTable, "fk_stock_movement_product_id")
    kind = TextField()
    delta = IntegerField()
    quantity_after = IntegerField()
    order = reference(OrderTable, "fk_stock_movement_order_id", null=True)
    actor_user = reference(UserTable, "fk_stock_movement_actor_user_id", null=True)
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
                "CASE kind WHEN 'ORDER' THEN delta < 0 WHEN 'ADJUSTMENT' THEN delta <> 0"
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

RECORD_INITIAL = Command(
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
