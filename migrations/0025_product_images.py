"""Pictures of products: their URLs and text alternatives."""

# Not in one transaction: VALIDATE then reads the table without blocking writes. Each step can be
# repeated if a later one was interrupted.
atomic = False


def up(_migrator, db):
    """Add the column. A constant default does not rewrite the table."""
    # Servers of the version before do not name the column, so they can run at the same time.
    db.execute_sql("""
        ALTER TABLE product ADD COLUMN IF NOT EXISTS images jsonb NOT NULL DEFAULT '[]',
            DROP CONSTRAINT IF EXISTS ck_product_images,
            ADD CONSTRAINT ck_product_images CHECK
                (jsonb_typeof(images) = 'array' AND jsonb_array_length(images) <= 8) NOT VALID
    """)
    db.execute_sql("ALTER TABLE product VALIDATE CONSTRAINT ck_product_images")


def down(_migrator, db):
    """Drop the column with its constraint."""
    db.execute_sql("ALTER TABLE product DROP COLUMN IF EXISTS images")
