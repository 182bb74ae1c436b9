"""When a worker last ran: servers are not ready if that is too long ago."""


def up(_migrator, db):
    """Create the table."""
    # Unlogged: it is written every few seconds, and the next heartbeat replaces what a crash loses.
    db.execute_sql("""
        CREATE UNLOGGED TABLE worker_heartbeat (
            name text COLLATE "C" NOT NULL,
            beat_at timestamptz NOT NULL,
            CONSTRAINT pk_worker_heartbeat PRIMARY KEY (name)
        )
    """)


def down(_migrator, db):
    """Drop the table."""
    db.execute_sql("DROP TABLE worker_heartbeat")
