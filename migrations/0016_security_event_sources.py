"""What names a person in the security log: a table of its own, from which it can be erased."""


def up(_migrator, db):
    """Create the table, and move the addresses and user agents to it."""
    # No foreign keys: to check one, PostgreSQL locks the event by SELECT FOR KEY SHARE as the owner
    # of the log, who has no UPDATE privilege.
    db.execute_sql("""
        CREATE TABLE security_event_source (
            event_id uuid NOT NULL,
            user_id uuid,
            address text NOT NULL,
            user_agent text NOT NULL,
            CONSTRAINT pk_security_event_source PRIMARY KEY (event_id)
        )
    """)
    db.execute_sql("""
        INSERT INTO security_event_source
        SELECT id, coalesce(actor_user_id, user_id), address, user_agent FROM security_event
        WHERE address <> '' OR user_agent <> ''
    """)
    db.execute_sql("""
        CREATE INDEX ix_security_event_source_user_id ON security_event_source (user_id)
        WHERE user_id IS NOT NULL
    """)
    _update_log(
        db,
        """
        UPDATE security_event SET address = '', user_agent = '' FROM security_event_source AS source
        WHERE source.event_id = security_event.id
        """,
    )
    # The columns stay: servers of version 0.3 write them until they have been upgraded too. This
    # needs a lock that stops all writes to the log, so it comes last.
    db.execute_sql("""
        ALTER TABLE security_event ALTER address SET DEFAULT '', ALTER user_agent SET DEFAULT ''
    """)


def down(_migrator, db):
    """Move the data back, and drop the table."""
    _update_log(
        db,
        """
        UPDATE security_event SET address = source.address, user_agent = source.user_agent
        FROM security_event_source AS source WHERE source.event_id = security_event.id
        """,
    )
    db.execute_sql("""
        ALTER TABLE security_event ALTER address DROP DEFAULT, ALTER user_agent DROP DEFAULT
    """)
    db.execute_sql("DROP TABLE security_event_source")


def _update_log(db, statement):
    """Run a statement with the privilege that the log's owner has revoked from itself."""
    db.execute_sql("GRANT UPDATE ON security_event TO CURRENT_USER")
    db.execute_sql(statement)
    db.execute_sql("REVOKE UPDATE ON security_event FROM CURRENT_USER")
