"""The words that products are called by, apart from those of which they are told."""

_WORDS = """to_tsvector('simple', regexp_replace(
    (sku || ' ' || name) COLLATE "C", '[!-/:-@[-`{-~]+', ' ', 'g'))"""


def up(_migrator, db):
    """Add the column and its index."""
    # A column of its own: an index of words does not know their weights, so whoever asked for
    # those of the name alone would be given every product that is told of by them.
    db.execute_sql(
        "ALTER TABLE product ADD COLUMN called tsvector NOT NULL"
        f" GENERATED ALWAYS AS ({_WORDS}) STORED"
    )
    db.execute_sql("CREATE INDEX ix_product_called ON product USING gin (called)")


def down(_migrator, db):
    """Drop both."""
    db.execute_sql("ALTER TABLE product DROP COLUMN called")
