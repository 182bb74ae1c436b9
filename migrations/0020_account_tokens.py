"""Tokens of mails that reset a password or confirm an address, and which addresses are verified."""

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
_NEW_TYPES = (
    "PASSWORD_RESET",
    "EMAIL_VERIFIED",
    "EMAIL_CHANGE_REQUESTED",
    "EMAIL_CHANGE_FAILED",
    "EMAIL_CHANGED",
)


def up(_migrator, db):
    """Create the table, and add the column and the types of security events."""
    # False for all existing users: nobody has verified their addresses.
    db.execute_sql("""
        ALTER TABLE users ADD COLUMN IF NOT EXISTS email_verified boolean NOT NULL DEFAULT false
    """)
    db.execute_sql("""
        CREATE TABLE IF NOT EXISTS account_token (
            -- SHA-256 of the token: a copy of this table is of no use to an attacker.
            token_hash bytea NOT NULL,
            kind text COLLATE "C" NOT NULL,
            user_id uuid NOT NULL,
            -- The address to which the token is sent. Using the token proves access to it.
            email text COLLATE "C" NOT NULL,
            -- When the mail was requested. All tokens of the newest request are valid: if a mail is
            -- sent twice, each copy has its own token.
            requested_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            CONSTRAINT pk_account_token PRIMARY KEY (token_hash),
            CONSTRAINT fk_account_token_user_id FOREIGN KEY (user_id) REFERENCES users (id),
            CONSTRAINT ck_account_token_hash CHECK (octet_length(token_hash) = 32),
            CONSTRAINT ck_account_token_kind CHECK
                (kind IN ('PASSWORD_RESET', 'EMAIL_VERIFICATION', 'EMAIL_CHANGE'))
        )
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_account_token_user_id ON account_token (user_id, kind)
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_account_token_expires_at ON account_token (expires_at)
    """)
    _check_type(db, _TYPES + _NEW_TYPES)
    db.execute_sql("ALTER TABLE security_event VALIDATE CONSTRAINT ck_security_event_type")


def down(_migrator, db):
    """Drop the table and the column. Rows of the new types stay: the log is append-only."""
    _check_type(db, _TYPES)
    db.execute_sql("DROP TABLE IF EXISTS account_token")
    db.execute_sql("ALTER TABLE users DROP COLUMN IF EXISTS email_verified")


def _check_type(db, types):
    names = ", ".join(f"'{one}'" for one in types)
    db.execute_sql(f"""
        ALTER TABLE security_event DROP CONSTRAINT IF EXISTS ck_security_event_type,
        ADD CONSTRAINT ck_security_event_type CHECK (type IN ({names})) NOT VALID
    """)
