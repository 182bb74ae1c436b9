"""Deleted users: what names a person is erased, and orders, payments and logs keep ids."""

# Not in one transaction: VALIDATE then reads the tables without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False

_SECURITY_EVENTS = (
    "REGISTERED",
    "SIGNED_IN",
    "SIGN_IN_FAILED",
    "SIGNED_OUT",
    "REFRESH_TOKEN_REUSED",
    "PASSWORD_CHANGED",
    "PASSWORD_CHANGE_FAILED",
    "SESSION_REVOKED",
    "ROLE_CHANGED",
    "USER_DISABLED",
    "USER_ENABLED",
    "RATE_LIMITED",
    "ACCESS_DENIED",
    "REGISTRATION_REFUSED",
    "DATA_EXPORTED",
    "PRODUCTS_IMPORTED",
    "PRODUCT_CREATED",
    "PRODUCT_UPDATED",
    "PRODUCT_ARCHIVED",
    "PRODUCT_RESTORED",
    "STOCK_ADJUSTED",
    "PASSWORD_RESET",
    "EMAIL_VERIFIED",
    "EMAIL_CHANGE_REQUESTED",
    "EMAIL_CHANGE_FAILED",
    "EMAIL_CHANGED",
)
_NEW_SECURITY_EVENTS = ("USER_DELETED", "USER_DELETION_FAILED")
_ORDER_EVENTS = (
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
)
_NEW_ORDER_EVENTS = ("PERSONAL_DATA_ERASED",)

_VALIDATE = (
    ("users", "ck_users_deleted"),
    ("security_event", "ck_security_event_type"),
    ("order_event", "ck_order_event_type"),
)


def up(_migrator, db):
    """Add the column, the table and the types of events; erase what nobody needs."""
    # The constraint also stops a server of the version before, which does not know deleted users.
    db.execute_sql("""
        ALTER TABLE users ADD COLUMN IF NOT EXISTS deleted_at timestamptz,
            DROP CONSTRAINT IF EXISTS ck_users_deleted,
            ADD CONSTRAINT ck_users_deleted CHECK (deleted_at IS NULL OR NOT active) NOT VALID
    """)
    _create_order_event_reason(db)
    _check_type(db, "security_event", _SECURITY_EVENTS + _NEW_SECURITY_EVENTS)
    _check_type(db, "order_event", _ORDER_EVENTS + _NEW_ORDER_EVENTS)
    for table, constraint in _VALIDATE:
        db.execute_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")
    # To find the notifications about the payments of one person.
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_payment_notification_payment_id
            ON payment_notification (payment_id) WHERE payment_id IS NOT NULL
    """)
    # Nothing says whom these concern, so they could not be erased with a person's data.
    db.execute_sql("""
        UPDATE payment_notification SET body = ''
        WHERE outcome IN ('IGNORED', 'UNMATCHED') AND next_check_at IS NULL AND body <> ''
    """)


def down(_migrator, db):
    """Move the reasons back, and drop the table and the column. Users stay deleted.

    Rows of the new types stay: the logs are append-only.
    """
    db.execute_sql("DROP INDEX IF EXISTS ix_payment_notification_payment_id")
    _check_type(db, "order_event", _ORDER_EVENTS)
    _check_type(db, "security_event", _SECURITY_EVENTS)
    db.execute_sql("""
        DO $$ BEGIN
            IF to_regclass('order_event_reason') IS NOT NULL THEN
                UPDATE order_event SET reason = moved.reason FROM order_event_reason AS moved
                WHERE moved.event_id = order_event.id;
            END IF;
        END $$
    """)
    db.execute_sql("DROP TABLE IF EXISTS order_event_reason")
    db.execute_sql("ALTER TABLE users DROP COLUMN IF EXISTS deleted_at")


def _create_order_event_reason(db):
    """Move the reasons, which people have written, to a table from which they can be erased.

    The column stays: servers of the version before write it until they have been upgraded too.
    """
    db.execute_sql("""
        CREATE TABLE IF NOT EXISTS order_event_reason (
            event_id uuid NOT NULL,
            reason text NOT NULL,
            CONSTRAINT pk_order_event_reason PRIMARY KEY (event_id),
            CONSTRAINT fk_order_event_reason_event_id FOREIGN KEY (event_id)
                REFERENCES order_event (id),
            CONSTRAINT ck_order_event_reason_reason CHECK
                (char_length(reason) BETWEEN 1 AND 500)
        )
    """)
    db.execute_sql("""
        INSERT INTO order_event_reason SELECT id, reason FROM order_event WHERE reason IS NOT NULL
        ON CONFLICT (event_id) DO NOTHING
    """)
    db.execute_sql("UPDATE order_event SET reason = NULL WHERE reason IS NOT NULL")


def _check_type(db, table, types):
    names = ", ".join(f"'{one}'" for one in types)
    db.execute_sql(f"""
        ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_type,
        ADD CONSTRAINT ck_{table}_type CHECK (type IN ({names})) NOT VALID
    """)
