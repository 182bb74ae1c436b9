"""What administrators need to find people, and what keeps an old password from signing in."""


def up(_migrator, db):
    """Add the columns and indexes."""
    # Counts the passwords that somebody has had: a sign-in whose password was verified a moment
    # ago starts no session if the password has been changed since. A hash would not do: it is
    # made anew at sign-in when its parameters go up, with the same password. The default is for
    # servers of the version before, which go on while others are being replaced.
    db.execute_sql("ALTER TABLE users ADD COLUMN password_version integer NOT NULL DEFAULT 1")
    # Words as those of products: what stands between ASCII punctuation, so that the parts of an
    # email are words too.
    db.execute_sql("""
        ALTER TABLE users ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (
            to_tsvector('simple', regexp_replace(
                (email || ' ' || name) COLLATE "C", '[!-/:-@[-`{-~]+', ' ', 'g'))) STORED
    """)
    db.execute_sql("CREATE INDEX ix_users_search ON users USING gin (search)")
    db.execute_sql("CREATE INDEX ix_users_created_at ON users (created_at, id)")
    # The last active administrator stays: they are counted at each change of one of them.
    db.execute_sql("CREATE INDEX ix_users_administrators ON users (id) WHERE role = 'ADMIN'")


def down(_migrator, db):
    """Drop the columns, and their indexes with them."""
    db.execute_sql("DROP INDEX ix_users_created_at, ix_users_administrators")
    db.execute_sql("ALTER TABLE users DROP COLUMN search, DROP COLUMN password_version")
