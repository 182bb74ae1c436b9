"""What the shop sells, and how much of it there is."""


def up(_migrator, db):
    """Make the tables."""
    db.execute_sql("""
        CREATE TABLE product (
            id uuid NOT NULL,
            sku text COLLATE "C" NOT NULL,
            -- Collation C, code point by code point: the same order on every server, and no
            -- index that an update of the operating system's locales could silently break.
            name text COLLATE "C" NOT NULL,
            description text NOT NULL,
            -- Minor units of the shop's currency, within what every JSON reader keeps exactly.
            price bigint NOT NULL,
            version integer NOT NULL,
            -- Products are archived, never deleted: past orders point at them.
            archived_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            -- Words are what stands between ASCII punctuation: left to itself the parser takes
            -- MUG-12 for a mug and the number -12. models/product.py asks by the same rule.
            search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', regexp_replace(
                (sku || ' ' || name || ' ' || description) COLLATE "C",
                '[!-/:-@[-`{-~]+', ' ', 'g'))) STORED,
            CONSTRAINT pk_product PRIMARY KEY (id),
            CONSTRAINT uq_product_sku UNIQUE (sku),
            CONSTRAINT ck_product_price CHECK (price BETWEEN 0 AND 9007199254740991),
            CONSTRAINT ck_product_version CHECK (version >= 1)
        )
    """)
    # One index for each order that a list can have; the id makes that order total. Lists show
    # nothing archived, so neither do their indexes.
    db.execute_sql("""
        CREATE INDEX ix_product_created_at ON product (created_at, id) WHERE archived_at IS NULL
    """)
    db.execute_sql("""
        CREATE INDEX ix_product_price ON product (price, id) WHERE archived_at IS NULL
    """)
    # A cursor carries the value that it stopped at: 64 characters keep it short.
    db.execute_sql("""
        CREATE INDEX ix_product_name ON product (left(name, 64), id) WHERE archived_at IS NULL
    """)
    db.execute_sql("CREATE INDEX ix_product_search ON product USING gin (search)")
    # Apart from the product, so that a sale writes 40 bytes, not a description and its indexes.
    # Half-empty pages leave room for the row's next versions, so that no sale touches the index.
    db.execute_sql("""
        CREATE TABLE stock (
            product_id uuid NOT NULL,
            quantity integer NOT NULL,
            CONSTRAINT pk_stock PRIMARY KEY (product_id),
            CONSTRAINT fk_stock_product_id FOREIGN KEY (product_id) REFERENCES product (id),
            CONSTRAINT stock_not_negative CHECK (quantity >= 0)
        ) WITH (fillfactor = 50)
    """)


def down(_migrator, db):
    """Drop the tables."""
    db.execute_sql("DROP TABLE stock, product")
