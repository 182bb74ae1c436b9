"""Orders, what was bought, what became of them, and which request asked for them."""


def up(_migrator, db):
    """Make the tables."""
    db.execute_sql("""
        CREATE TABLE orders (
            id uuid NOT NULL,
            number text COLLATE "C" NOT NULL,
            user_id uuid NOT NULL,
            status text NOT NULL,
            -- A snapshot, like the prices: the shop's setting may change, what was agreed does not.
            currency text NOT NULL,
            total bigint NOT NULL,
            tracking_number text,
            version integer NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT pk_orders PRIMARY KEY (id),
            CONSTRAINT uq_orders_number UNIQUE (number),
            CONSTRAINT fk_orders_user_id FOREIGN KEY (user_id) REFERENCES users (id),
            CONSTRAINT ck_orders_status CHECK (status IN
                ('PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'RETURNED')),
            CONSTRAINT ck_orders_currency CHECK (currency ~ '^[A-Z]{3}$'),
            CONSTRAINT ck_orders_total CHECK (total BETWEEN 0 AND 9007199254740991),
            CONSTRAINT ck_orders_tracking_number CHECK
                (tracking_number IS NULL OR status IN ('SHIPPED', 'DELIVERED', 'RETURNED')),
            CONSTRAINT ck_orders_version CHECK (version >= 1)
        )
    """)
    # A client's own orders, and an administrator's lists: all, by status, by total.
    db.execute_sql("CREATE INDEX ix_orders_user_id ON orders (user_id, created_at, id)")
    db.execute_sql("CREATE INDEX ix_orders_created_at ON orders (created_at, id)")
    db.execute_sql("CREATE INDEX ix_orders_status ON orders (status, created_at, id)")
    db.execute_sql("CREATE INDEX ix_orders_total ON orders (total, id)")
    db.execute_sql("""
        CREATE TABLE order_item (
            order_id uuid NOT NULL,
            product_id uuid NOT NULL,
            position smallint NOT NULL,
            -- As they were when the order was placed, whatever becomes of the product.
            sku text NOT NULL,
            name text NOT NULL,
            unit_price bigint NOT NULL,
            quantity integer NOT NULL,
            -- A product is on an order once: its lines were summed before stock was taken.
            CONSTRAINT pk_order_item PRIMARY KEY (order_id, product_id),
            CONSTRAINT fk_order_item_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
            CONSTRAINT fk_order_item_product_id FOREIGN KEY (product_id) REFERENCES product (id),
            CONSTRAINT ck_order_item_position CHECK (position >= 1),
            CONSTRAINT ck_order_item_unit_price CHECK (unit_price >= 0),
            CONSTRAINT ck_order_item_quantity CHECK (quantity >= 1)
        )
    """)
    db.execute_sql("""
        CREATE TABLE order_event (
            id uuid NOT NULL,
            order_id uuid NOT NULL,
            type text NOT NULL,
            from_status text,
            to_status text NOT NULL,
            actor_kind text NOT NULL,
            actor_user_id uuid,
            request_id text NOT NULL,
            created_at timestamptz NOT NULL,
            CONSTRAINT pk_order_event PRIMARY KEY (id),
            CONSTRAINT fk_order_event_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
            CONSTRAINT fk_order_event_actor_user_id FOREIGN KEY (actor_user_id)
                REFERENCES users (id),
            CONSTRAINT ck_order_event_type CHECK (type IN ('PLACED', 'STATUS_CHANGED')),
            CONSTRAINT ck_order_event_from_status CHECK
                ((type = 'PLACED') = (from_status IS NULL)),
            CONSTRAINT ck_order_event_actor_kind CHECK (actor_kind IN ('PERSON', 'SYSTEM')),
            CONSTRAINT ck_order_event_actor CHECK
                ((actor_kind = 'PERSON') = (actor_user_id IS NOT NULL))
        )
    """)
    db.execute_sql("CREATE INDEX ix_order_event_order_id ON order_event (order_id, created_at, id)")
    db.execute_sql("""
        CREATE TABLE idempotency_key (
            user_id uuid NOT NULL,
            key text COLLATE "C" NOT NULL,
            -- SHA-256 of the request: the same key with another request is refused.
            fingerprint bytea NOT NULL,
            order_id uuid NOT NULL,
            created_at timestamptz NOT NULL,
            -- Two first requests with one key meet here, and only one of them gets through.
            CONSTRAINT pk_idempotency_key PRIMARY KEY (user_id, key),
            CONSTRAINT fk_idempotency_key_user_id FOREIGN KEY (user_id) REFERENCES users (id),
            CONSTRAINT fk_idempotency_key_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
            CONSTRAINT ck_idempotency_key_fingerprint CHECK (octet_length(fingerprint) = 32)
        )
    """)


def down(_migrator, db):
    """Drop the tables."""
    db.execute_sql("DROP TABLE idempotency_key, order_event, order_item, orders")
