"""The security log: who signed in or failed to, and whose access changed."""


def up(_migrator, db):
    """Make the table, and let nobody change what is in it."""
    db.execute_sql("""
        CREATE TABLE security_event (
            id uuid NOT NULL,
            type text NOT NULL,
            -- Whom it is about; null where an email is nobody's. Which email that was is not kept:
            -- people type their passwords there.
            user_id uuid,
            -- Who did it; null for somebody who has not proven who they are.
            actor_user_id uuid,
            -- No foreign key: sessions are purged, the log is not.
            session_id uuid,
            from_role text,
            to_role text,
            address text NOT NULL,
            user_agent text NOT NULL,
            request_id text NOT NULL,
            created_at timestamptz NOT NULL,
            CONSTRAINT pk_security_event PRIMARY KEY (id),
            CONSTRAINT fk_security_event_user_id FOREIGN KEY (user_id) REFERENCES users (id),
            CONSTRAINT fk_security_event_actor_user_id FOREIGN KEY (actor_user_id)
                REFERENCES users (id),
            CONSTRAINT ck_security_event_type CHECK (type IN ('REGISTERED', 'SIGNED_IN',
                'SIGN_IN_FAILED', 'SIGNED_OUT', 'REFRESH_TOKEN_REUSED', 'PASSWORD_CHANGED',
                'PASSWORD_CHANGE_FAILED', 'SESSION_REVOKED', 'ROLE_CHANGED', 'USER_DISABLED',
                'USER_ENABLED')),
            CONSTRAINT ck_security_event_role CHECK
                ((type = 'ROLE_CHANGED') = (from_role IS NOT NULL AND to_role IS NOT NULL))
        )
    """)
    db.execute_sql("CREATE INDEX ix_security_event_created_at ON security_event (created_at, id)")
    db.execute_sql("""
        CREATE INDEX ix_security_event_user_id ON security_event (user_id, created_at, id)
    """)
    # Append-only, for whoever is not a superuser, the owner of the table included.
    db.execute_sql("REVOKE UPDATE, DELETE, TRUNCATE ON security_event FROM CURRENT_USER, PUBLIC")


def down(_migrator, db):
    """Drop the table."""
    db.execute_sql("DROP TABLE security_event")
