"""How often somebody has tried of late, counted for all processes together."""


def up(_migrator, db):
    """Make the table."""
    # Unlogged: written at each attempt, and worth nothing after a crash, which may empty it.
    db.execute_sql("""
        CREATE UNLOGGED TABLE throttle (
            bucket text COLLATE "C" NOT NULL,
            -- GCRA's theoretical arrival time: when the bucket will be as good as new.
            full_at timestamptz NOT NULL,
            CONSTRAINT pk_throttle PRIMARY KEY (bucket)
        )
    """)
    db.execute_sql("CREATE INDEX ix_throttle_full_at ON throttle (full_at)")


def down(_migrator, db):
    """Drop the table."""
    db.execute_sql("DROP TABLE throttle")
