"""How ended sessions are noticed, and those long over taken away; and whence somebody signs in."""


def up(_migrator, db):
    """Make the indexes and the column."""
    # The network that a session was opened from: an IPv4 address, or the /64 of an IPv6 one, whose
    # other half changes from day to day. Whoever signs in from where they have before is throttled
    # apart from strangers.
    db.execute_sql("ALTER TABLE session ADD COLUMN network text NOT NULL DEFAULT ''")
    # Each server process asks again and again which sessions have just been revoked.
    db.execute_sql("""
        CREATE INDEX ix_session_revoked_at ON session (revoked_at) WHERE revoked_at IS NOT NULL
    """)
    db.execute_sql("CREATE INDEX ix_session_expires_at ON session (expires_at)")
    db.execute_sql("CREATE INDEX ix_refresh_token_expires_at ON refresh_token (expires_at)")


def down(_migrator, db):
    """Drop the indexes and the column."""
    db.execute_sql("ALTER TABLE session DROP COLUMN network")
    db.execute_sql(
        "DROP INDEX ix_session_revoked_at, ix_session_expires_at, ix_refresh_token_expires_at"
    )
