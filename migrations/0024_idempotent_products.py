"""Idempotency keys of requests that create products, or adjust their stock."""

# Not in one transaction: VALIDATE then reads the table without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False

_OLD = "num_nonnulls(order_id, payment_id, refund_id) = 1"
_NEW = "num_nonnulls(order_id, payment_id, refund_id, product_id, stock_movement_id) = 1"
_VALIDATE = (
    "fk_idempotency_key_product_id",
    "fk_idempotency_key_stock_movement_id",
    "ck_idempotency_key_created",
)


def up(_migrator, db):
    """Add a column for each kind of resource."""
    db.execute_sql(f"""
        ALTER TABLE idempotency_key
            ADD COLUMN IF NOT EXISTS product_id uuid,
            ADD COLUMN IF NOT EXISTS stock_movement_id uuid,
            DROP CONSTRAINT IF EXISTS fk_idempotency_key_product_id,
            ADD CONSTRAINT fk_idempotency_key_product_id FOREIGN KEY (product_id)
                REFERENCES product (id) NOT VALID,
            DROP CONSTRAINT IF EXISTS fk_idempotency_key_stock_movement_id,
            ADD CONSTRAINT fk_idempotency_key_stock_movement_id FOREIGN KEY (stock_movement_id)
                REFERENCES stock_movement (id) NOT VALID,
            DROP CONSTRAINT IF EXISTS ck_idempotency_key_created,
            ADD CONSTRAINT ck_idempotency_key_created CHECK ({_NEW}) NOT VALID
    """)
    for constraint in _VALIDATE:
        db.execute_sql(f"ALTER TABLE idempotency_key VALIDATE CONSTRAINT {constraint}")


def down(_migrator, db):
    """Delete the keys that the old constraint refuses, and drop the columns."""
    db.execute_sql(
        "DELETE FROM idempotency_key WHERE num_nonnulls(product_id, stock_movement_id) > 0"
    )
    db.execute_sql(f"""
        ALTER TABLE idempotency_key DROP CONSTRAINT IF EXISTS ck_idempotency_key_created,
            ADD CONSTRAINT ck_idempotency_key_created CHECK ({_OLD}),
            DROP COLUMN IF EXISTS product_id, DROP COLUMN IF EXISTS stock_movement_id
    """)
