"""More types of security events: refused requests, exports, and changes by administrators."""

# Not in one transaction: VALIDATE then reads the table without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False

_TYPES = (
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
)
_NEW_TYPES = (
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
)


def up(_migrator, db):
    """Add the columns and types."""
    # product_id has no foreign key: the log must not lock rows of products.
    # detail: the policy of a rate limit, an operation, or an error code; never user input.
    db.execute_sql("""
        ALTER TABLE security_event ADD COLUMN IF NOT EXISTS product_id uuid,
        ADD COLUMN IF NOT EXISTS detail text
    """)
    _check_type(db, _TYPES + _NEW_TYPES)
    db.execute_sql("ALTER TABLE security_event VALIDATE CONSTRAINT ck_security_event_type")


def down(_migrator, db):
    """Drop the columns. Rows of the new types stay: the log is append-only."""
    _check_type(db, _TYPES)
    db.execute_sql("""
        ALTER TABLE security_event DROP COLUMN IF EXISTS product_id, DROP COLUMN IF EXISTS detail
    """)


def _check_type(db, types):
    names = ", ".join(f"'{one}'" for one in types)
    db.execute_sql(f"""
        ALTER TABLE security_event DROP CONSTRAINT IF EXISTS ck_security_event_type,
        ADD CONSTRAINT ck_security_event_type CHECK (type IN ({names})) NOT VALID
    """)
