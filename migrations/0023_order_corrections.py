"""Corrections of orders: a carrier, and events that say what was changed."""

# Not in one transaction: VALIDATE then reads the tables without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False

_OLD_EVENTS = (
    "PLACED",
    "STATUS_CHANGED",
    "PAYMENT_CREATED",
    "PAYMENT_SUCCEEDED",
    "PAYMENT_FAILED",
    "PAYMENT_CANCELED",
    "PAYMENT_MISMATCHED",
    "PAYMENT_KEPT",
    "REFUND_CREATED",
    "REFUND_SUCCEEDED",
    "REFUND_FAILED",
    "PERSONAL_DATA_ERASED",
)
_NEW_EVENTS = ("UPDATED",)


def up(_migrator, db):
    """Add the column, the table and the type of event."""
    # Servers of the version before ignore the column, so they can run at the same time.
    db.execute_sql("""
        ALTER TABLE orders ADD COLUMN IF NOT EXISTS carrier text,
            DROP CONSTRAINT IF EXISTS ck_orders_carrier,
            ADD CONSTRAINT ck_orders_carrier CHECK (char_length(carrier) BETWEEN 1 AND 64) NOT VALID
    """)
    # Apart from order_event, which is append-only: these values can be personal data, and are
    # deleted with it.
    db.execute_sql("""
        CREATE TABLE IF NOT EXISTS order_event_change (
            event_id uuid NOT NULL,
            member text NOT NULL,
            before text,
            after text,
            CONSTRAINT pk_order_event_change PRIMARY KEY (event_id, member),
            CONSTRAINT fk_order_event_change_event_id FOREIGN KEY (event_id)
                REFERENCES order_event (id),
            CONSTRAINT ck_order_event_change_values CHECK (before IS DISTINCT FROM after)
        )
    """)
    _check_type(db, _OLD_EVENTS + _NEW_EVENTS)
    db.execute_sql("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_carrier")
    db.execute_sql("ALTER TABLE order_event VALIDATE CONSTRAINT ck_order_event_type")


def down(_migrator, db):
    """Drop the table and the column. Events of the new type stay: the timeline is append-only."""
    _check_type(db, _OLD_EVENTS)
    db.execute_sql("DROP TABLE IF EXISTS order_event_change")
    db.execute_sql("ALTER TABLE orders DROP COLUMN IF EXISTS carrier")


def _check_type(db, types):
    names = ", ".join(f"'{one}'" for one in types)
    db.execute_sql(f"""
        ALTER TABLE order_event DROP CONSTRAINT IF EXISTS ck_order_event_type,
        ADD CONSTRAINT ck_order_event_type CHECK (type IN ({names})) NOT VALID
    """)
