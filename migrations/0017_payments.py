"""Payments, refunds and the notifications of payment providers."""

# Not in one transaction: VALIDATE then reads the tables without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False

_STATUSES = "'PENDING', 'PROCESSING', 'FAILED', 'CANCELED', 'SUCCEEDED'"
_CAUSES = "'REQUESTED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'EXCESS_PAYMENT', 'PROVIDER'"
_OUTCOMES = "'APPLIED', 'DUPLICATE', 'UNMATCHED', 'IGNORED', 'FAILED'"
_PAYMENT_EVENTS = (
    "'PAYMENT_CREATED', 'PAYMENT_SUCCEEDED', 'PAYMENT_FAILED', 'PAYMENT_CANCELED',"
    " 'PAYMENT_MISMATCHED', 'PAYMENT_KEPT', 'REFUND_CREATED', 'REFUND_SUCCEEDED', 'REFUND_FAILED'"
)
_STATUS_EVENTS = "'PLACED', 'STATUS_CHANGED'"

_VALIDATE = (
    ("orders", "ck_orders_amount_refunded"),
    ("order_event", "ck_order_event_type"),
    ("order_event", "ck_order_event_actor_kind"),
    ("order_event", "fk_order_event_payment_id"),
    ("order_event", "fk_order_event_refund_id"),
    ("idempotency_key", "fk_idempotency_key_payment_id"),
    ("idempotency_key", "fk_idempotency_key_refund_id"),
    ("idempotency_key", "ck_idempotency_key_created"),
)


def up(_migrator, db):
    """Create the tables, and add the money to orders and their events."""
    _create_payment(db)
    _create_refund(db)
    _create_payment_notification(db)
    # No table is rewritten: a new column is NULL or a constant in all existing rows. An order from
    # before this migration keeps NULL, which means that its payments are not recorded here.
    db.execute_sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS amount_paid bigint")
    db.execute_sql("ALTER TABLE orders ALTER COLUMN amount_paid SET DEFAULT 0")
    db.execute_sql("""
        ALTER TABLE orders
            ADD COLUMN IF NOT EXISTS amount_refunded bigint NOT NULL DEFAULT 0,
            -- Only if it is later than usual, since the customer chose a manual method.
            ADD COLUMN IF NOT EXISTS expires_at timestamptz,
            DROP CONSTRAINT IF EXISTS ck_orders_amount_refunded,
            ADD CONSTRAINT ck_orders_amount_refunded CHECK
                (amount_refunded BETWEEN 0 AND coalesce(amount_paid, 0)) NOT VALID
    """)
    _events(db, f"{_STATUS_EVENTS}, {_PAYMENT_EVENTS}", "'PERSON', 'SYSTEM', 'PROVIDER'")
    db.execute_sql("""
        ALTER TABLE order_event
            ADD COLUMN IF NOT EXISTS payment_id uuid,
            ADD COLUMN IF NOT EXISTS refund_id uuid,
            ADD COLUMN IF NOT EXISTS amount bigint,
            DROP CONSTRAINT IF EXISTS fk_order_event_payment_id,
            ADD CONSTRAINT fk_order_event_payment_id FOREIGN KEY (payment_id)
                REFERENCES payment (id) NOT VALID,
            DROP CONSTRAINT IF EXISTS fk_order_event_refund_id,
            ADD CONSTRAINT fk_order_event_refund_id FOREIGN KEY (refund_id)
                REFERENCES refund (id) NOT VALID
    """)
    db.execute_sql("""
        ALTER TABLE idempotency_key
            ALTER COLUMN order_id DROP NOT NULL,
            ADD COLUMN IF NOT EXISTS payment_id uuid,
            ADD COLUMN IF NOT EXISTS refund_id uuid,
            DROP CONSTRAINT IF EXISTS fk_idempotency_key_payment_id,
            ADD CONSTRAINT fk_idempotency_key_payment_id FOREIGN KEY (payment_id)
                REFERENCES payment (id) NOT VALID,
            DROP CONSTRAINT IF EXISTS fk_idempotency_key_refund_id,
            ADD CONSTRAINT fk_idempotency_key_refund_id FOREIGN KEY (refund_id)
                REFERENCES refund (id) NOT VALID,
            DROP CONSTRAINT IF EXISTS ck_idempotency_key_created,
            ADD CONSTRAINT ck_idempotency_key_created CHECK
                (num_nonnulls(order_id, payment_id, refund_id) = 1) NOT VALID
    """)
    for table, constraint in _VALIDATE:
        db.execute_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")


def down(_migrator, db):
    """Drop the tables and columns, and delete the events that the old constraints refuse."""
    db.execute_sql("DELETE FROM idempotency_key WHERE order_id IS NULL")
    db.execute_sql("""
        ALTER TABLE idempotency_key DROP COLUMN IF EXISTS payment_id,
            DROP COLUMN IF EXISTS refund_id, ALTER COLUMN order_id SET NOT NULL
    """)
    db.execute_sql(
        f"DELETE FROM order_event WHERE type IN ({_PAYMENT_EVENTS}) OR actor_kind = 'PROVIDER'"  # noqa: S608
    )
    _events(db, _STATUS_EVENTS, "'PERSON', 'SYSTEM'")
    db.execute_sql("""
        ALTER TABLE order_event DROP COLUMN IF EXISTS payment_id, DROP COLUMN IF EXISTS refund_id,
            DROP COLUMN IF EXISTS amount
    """)
    db.execute_sql("""
        ALTER TABLE orders DROP COLUMN IF EXISTS amount_paid,
            DROP COLUMN IF EXISTS amount_refunded, DROP COLUMN IF EXISTS expires_at
    """)
    db.execute_sql("DROP TABLE IF EXISTS payment_notification, refund, payment")


def _create_payment(db):
    db.execute_sql(f"""
        CREATE TABLE IF NOT EXISTS payment (
            id uuid NOT NULL,
            order_id uuid NOT NULL,
            provider text NOT NULL,
            -- The provider's id of the payment; null until the provider has answered. For a manual
            -- payment, what the administrator noted.
            reference text,
            method text,
            amount bigint NOT NULL,
            -- The refunds that are under way or done: reserved before the provider is asked.
            amount_refunded bigint NOT NULL DEFAULT 0,
            currency text NOT NULL,
            status text NOT NULL,
            failure_code text,
            client_secret text,
            redirect_url text,
            -- When the reconciliation job asks the provider next; null if it need not.
            next_check_at timestamptz,
            checks integer NOT NULL DEFAULT 0,
            version integer NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT pk_payment PRIMARY KEY (id),
            CONSTRAINT fk_payment_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
            CONSTRAINT ck_payment_provider CHECK (provider ~ '^[a-z]{{1,20}}$'),
            CONSTRAINT ck_payment_method CHECK
                (method IS NULL
                    OR provider = 'manual' AND method IN ('CASH', 'BANK_TRANSFER', 'OTHER')),
            CONSTRAINT ck_payment_amount CHECK (amount BETWEEN 1 AND 9007199254740991),
            CONSTRAINT ck_payment_status CHECK (status IN ({_STATUSES})),
            -- The last safeguard: never more refunded than captured.
            CONSTRAINT ck_payment_amount_refunded CHECK
                (amount_refunded BETWEEN 0 AND CASE status WHEN 'SUCCEEDED' THEN amount ELSE 0 END),
            CONSTRAINT ck_payment_version CHECK (version >= 1)
        )
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_payment_order_id ON payment (order_id, created_at, id)
    """)
    # Two concurrent requests cannot start two payments for one order.
    db.execute_sql("""
        CREATE UNIQUE INDEX IF NOT EXISTS uq_payment_open ON payment (order_id)
            WHERE status IN ('PENDING', 'PROCESSING')
    """)
    db.execute_sql("""
        CREATE UNIQUE INDEX IF NOT EXISTS uq_payment_reference ON payment (provider, reference)
            WHERE provider <> 'manual'
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_payment_next_check_at ON payment (next_check_at, id)
            WHERE next_check_at IS NOT NULL
    """)


def _create_refund(db):
    db.execute_sql(f"""
        CREATE TABLE IF NOT EXISTS refund (
            id uuid NOT NULL,
            payment_id uuid NOT NULL,
            reference text,
            amount bigint NOT NULL,
            status text NOT NULL,
            cause text NOT NULL,
            reason text,
            failure_code text,
            next_check_at timestamptz,
            checks integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT pk_refund PRIMARY KEY (id),
            CONSTRAINT fk_refund_payment_id FOREIGN KEY (payment_id) REFERENCES payment (id),
            CONSTRAINT ck_refund_amount CHECK (amount BETWEEN 1 AND 9007199254740991),
            CONSTRAINT ck_refund_status CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')),
            CONSTRAINT ck_refund_cause CHECK (cause IN ({_CAUSES})),
            CONSTRAINT ck_refund_reason CHECK
                (reason IS NULL OR char_length(reason) BETWEEN 1 AND 500)
        )
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_refund_payment_id ON refund (payment_id, created_at, id)
    """)
    db.execute_sql("""
        CREATE UNIQUE INDEX IF NOT EXISTS uq_refund_reference ON refund (payment_id, reference)
    """)
    # Money that arrived late or twice is returned once.
    db.execute_sql("""
        CREATE UNIQUE INDEX IF NOT EXISTS uq_refund_automatic ON refund (payment_id)
            WHERE cause IN ('LATE_PAYMENT', 'EXCESS_PAYMENT')
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_refund_next_check_at ON refund (next_check_at, id)
            WHERE next_check_at IS NOT NULL
    """)


def _create_payment_notification(db):
    db.execute_sql(f"""
        CREATE TABLE IF NOT EXISTS payment_notification (
            id uuid NOT NULL,
            provider text NOT NULL,
            event_id text COLLATE "C" NOT NULL,
            type text NOT NULL,
            -- As the provider sent it; its signature was valid.
            body bytea NOT NULL,
            -- What the notification says, in our terms; null if it is of a kind that is not used.
            news jsonb,
            payment_id uuid,
            refund_id uuid,
            -- Null until it was processed.
            outcome text,
            detail text,
            deliveries integer NOT NULL DEFAULT 1,
            next_check_at timestamptz,
            created_at timestamptz NOT NULL,
            processed_at timestamptz,
            CONSTRAINT pk_payment_notification PRIMARY KEY (id),
            CONSTRAINT uq_payment_notification_event_id UNIQUE (provider, event_id),
            CONSTRAINT fk_payment_notification_payment_id FOREIGN KEY (payment_id)
                REFERENCES payment (id),
            CONSTRAINT fk_payment_notification_refund_id FOREIGN KEY (refund_id)
                REFERENCES refund (id),
            CONSTRAINT ck_payment_notification_outcome CHECK (outcome IN ({_OUTCOMES})),
            CONSTRAINT ck_payment_notification_deliveries CHECK (deliveries >= 1)
        )
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_payment_notification_created_at
            ON payment_notification (created_at, id)
    """)
    db.execute_sql("""
        CREATE INDEX IF NOT EXISTS ix_payment_notification_next_check_at
            ON payment_notification (next_check_at, id) WHERE next_check_at IS NOT NULL
    """)


def _events(db, types, actor_kinds):
    """Allow events of these types, caused by these kinds of actors."""
    db.execute_sql(f"""
        ALTER TABLE order_event
            DROP CONSTRAINT IF EXISTS ck_order_event_type,
            ADD CONSTRAINT ck_order_event_type CHECK (type IN ({types})) NOT VALID,
            DROP CONSTRAINT IF EXISTS ck_order_event_actor_kind,
            ADD CONSTRAINT ck_order_event_actor_kind CHECK
                (actor_kind IN ({actor_kinds})) NOT VALID
    """)
