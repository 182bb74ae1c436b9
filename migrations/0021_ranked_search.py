"""The words that products are called by, apart from those of which they are told; and by stock."""

_WORDS = """to_tsvector('simple', regexp_replace(
    (sku || ' ' || name) COLLATE "C", '[!-/:-@[-`{-~]+', ' ', 'g'))"""
# What is archived has lists of its own, for administrators.
_ARCHIVED = {
    "ix_product_archived_created_at": "created_at, id",
    "ix_product_archived_price": "price, id",
    "ix_product_archived_name": "left(name, 64), id",
}


def up(_migrator, db):
    """Add the column and the indexes."""
    # A column of its own: an index of words does not know their weights, so whoever asked for
    # those of the name alone would be given every product that is told of by them.
    db.execute_sql(
        "ALTER TABLE product ADD COLUMN called tsvector NOT NULL"
        f" GENERATED ALWAYS AS ({_WORDS}) STORED"
    )
    db.execute_sql("CREATE INDEX ix_product_called ON product USING gin (called)")
    for name, columns in _ARCHIVED.items():
        db.execute_sql(f"CREATE INDEX {name} ON product ({columns}) WHERE archived_at IS NOT NULL")
    db.execute_sql("CREATE INDEX ix_stock_quantity ON stock (quantity, product_id)")


def down(_migrator, db):
    """Drop them."""
    db.execute_sql(f"DROP INDEX ix_stock_quantity, {', '.join(_ARCHIVED)}")
    db.execute_sql("ALTER TABLE product DROP COLUMN called")
