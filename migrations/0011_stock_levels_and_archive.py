"""Counts that were right, lists of what is archived, and lists by how much there is."""

# CONCURRENTLY works outside of a transaction alone. If it is interrupted it leaves an index that
# is not valid, so each step begins by dropping what an earlier try may have left.
atomic = False

_INDEXES = {
    # One for each order that a list of what is archived can have: they hold nothing else.
    "ix_product_archived_created_at": "product (created_at, id) WHERE archived_at IS NOT NULL",
    "ix_product_archived_price": "product (price, id) WHERE archived_at IS NOT NULL",
    "ix_product_archived_name": "product (left(name, 64), id) WHERE archived_at IS NOT NULL",
    # What is running out, and what there is at all. A sale writes it as well now.
    "ix_stock_quantity": "stock (quantity, product_id)",
}


def up(_migrator, db):
    """Let an adjustment be one by nothing, and make the indexes."""
    _check_delta(db, "true")
    for name, columns in _INDEXES.items():
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        db.execute_sql(f"CREATE INDEX CONCURRENTLY {name} ON {columns}")


def down(_migrator, db):
    """Drop the indexes. Counts that were right stay: rows of the ledger are never taken away."""
    for name in _INDEXES:
        db.execute_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    _check_delta(db, "delta <> 0")


def _check_delta(db, adjustment):
    # Not held against the rows that are there, so that nobody waits for the table to be read.
    db.execute_sql(f"""
        ALTER TABLE stock_movement DROP CONSTRAINT IF EXISTS ck_stock_movement_delta,
        ADD CONSTRAINT ck_stock_movement_delta CHECK
            (CASE kind WHEN 'ORDER' THEN delta < 0 WHEN 'ADJUSTMENT' THEN {adjustment}
                ELSE delta > 0 END) NOT VALID
    """)
    if adjustment == "true":
        db.execute_sql("ALTER TABLE stock_movement VALIDATE CONSTRAINT ck_stock_movement_delta")
