"""Users who registered where the response does not say whether an address is registered."""


def up(_migrator, db):
    """Add the column."""
    # True: signing in is refused until the address is verified. Otherwise whoever has just tried to
    # register an address could find out by signing in whether that has created an account.
    db.execute_sql("""
        ALTER TABLE users ADD COLUMN verify_before_sign_in boolean NOT NULL DEFAULT false
    """)


def down(_migrator, db):
    """Drop the column."""
    db.execute_sql("ALTER TABLE users DROP COLUMN verify_before_sign_in")
