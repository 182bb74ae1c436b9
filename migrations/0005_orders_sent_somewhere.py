"""Where an order is sent and what is to be said about it; why a step was taken."""


def up(_migrator, db):
    """Add the columns."""
    # An address is read and written whole, and never searched: one document, not seven columns.
    # The columns are new, so no row can break the checks: nobody waits for a scan of the table.
    db.execute_sql("""
        ALTER TABLE orders
            ADD COLUMN shipping_address jsonb,
            ADD COLUMN note text,
            ADD CONSTRAINT ck_orders_shipping_address CHECK
                (shipping_address IS NULL OR jsonb_typeof(shipping_address) = 'object') NOT VALID,
            ADD CONSTRAINT ck_orders_note CHECK
                (note IS NULL OR char_length(note) BETWEEN 1 AND 1000) NOT VALID
    """)
    db.execute_sql("""
        ALTER TABLE order_event
            ADD COLUMN reason text,
            ADD CONSTRAINT ck_order_event_reason CHECK
                (reason IS NULL OR char_length(reason) BETWEEN 1 AND 500) NOT VALID
    """)
    # Validated under a lock that lets orders go on being placed.
    db.execute_sql("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_shipping_address")
    db.execute_sql("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_note")
    db.execute_sql("ALTER TABLE order_event VALIDATE CONSTRAINT ck_order_event_reason")


def down(_migrator, db):
    """Drop them again."""
    db.execute_sql("ALTER TABLE order_event DROP COLUMN reason")
    db.execute_sql("ALTER TABLE orders DROP COLUMN shipping_address, DROP COLUMN note")
