"""The ledger of the stock: every unit that ever came or went, and why."""


def up(_migrator, db):
    """Make the table."""
    db.execute_sql("""
        CREATE TABLE stock_movement (
            id uuid NOT NULL,
            product_id uuid NOT NULL,
            kind text NOT NULL,
            delta integer NOT NULL,
            quantity_after integer NOT NULL,
            order_id uuid,
            actor_user_id uuid,
            reason text,
            request_id text NOT NULL,
            created_at timestamptz NOT NULL,
            CONSTRAINT pk_stock_movement PRIMARY KEY (id),
            CONSTRAINT fk_stock_movement_product_id FOREIGN KEY (product_id)
                REFERENCES product (id),
            CONSTRAINT fk_stock_movement_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
            CONSTRAINT fk_stock_movement_actor_user_id FOREIGN KEY (actor_user_id)
                REFERENCES users (id),
            CONSTRAINT ck_stock_movement_kind CHECK
                (kind IN ('INITIAL', 'ADJUSTMENT', 'ORDER', 'RELEASE', 'RETURN')),
            CONSTRAINT ck_stock_movement_delta CHECK
                (CASE kind WHEN 'ORDER' THEN delta < 0 WHEN 'ADJUSTMENT' THEN delta <> 0
                    ELSE delta > 0 END),
            CONSTRAINT ck_stock_movement_quantity_after CHECK (quantity_after >= 0),
            CONSTRAINT ck_stock_movement_order CHECK
                ((kind IN ('ORDER', 'RELEASE', 'RETURN')) = (order_id IS NOT NULL))
        )
    """)
    db.execute_sql("""
        CREATE INDEX ix_stock_movement_product_id ON stock_movement (product_id, created_at, id)
    """)
    # An order takes a product's units once and gives them back once: not even a mistake of ours
    # can give them back twice.
    db.execute_sql("""
        CREATE UNIQUE INDEX uq_stock_movement_order ON stock_movement (order_id, product_id, kind)
            WHERE order_id IS NOT NULL
    """)


def down(_migrator, db):
    """Drop the table."""
    db.execute_sql("DROP TABLE stock_movement")
