"""People, their sign-ins and the refresh tokens that keep those alive."""


def up(_migrator, db):
    """Make the tables."""
    db.execute_sql("""
        CREATE TABLE users (
            id uuid NOT NULL,
            -- Kept in lower case: then a plain unique constraint makes emails unique whatever
            -- their case, without an extension such as citext.
            email text COLLATE "C" NOT NULL,
            name text NOT NULL,
            password_hash text NOT NULL,
            -- Enumerations are text with a check: a value is added in one statement, inside a
            -- transaction, and every PostgreSQL-compatible engine has them.
            role text NOT NULL,
            active boolean NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT pk_users PRIMARY KEY (id),
            CONSTRAINT uq_users_email UNIQUE (email),
            CONSTRAINT ck_users_email CHECK (email = lower(email)),
            CONSTRAINT ck_users_role CHECK (role IN ('CLIENT', 'ADMIN'))
        )
    """)
    db.execute_sql("""
        CREATE TABLE session (
            id uuid NOT NULL,
            user_id uuid NOT NULL,
            user_agent text NOT NULL,
            address text NOT NULL,
            created_at timestamptz NOT NULL,
            last_used_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            revoked_at timestamptz,
            CONSTRAINT pk_session PRIMARY KEY (id),
            CONSTRAINT fk_session_user_id FOREIGN KEY (user_id) REFERENCES users (id)
        )
    """)
    db.execute_sql("CREATE INDEX ix_session_user_id ON session (user_id, created_at, id)")
    db.execute_sql("""
        CREATE TABLE refresh_token (
            -- SHA-256 of the token: who reads this table can sign in as nobody.
            token_hash bytea NOT NULL,
            session_id uuid NOT NULL,
            issued_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            -- Spent tokens are kept, so that using one again is noticed.
            spent_at timestamptz,
            CONSTRAINT pk_refresh_token PRIMARY KEY (token_hash),
            CONSTRAINT fk_refresh_token_session_id FOREIGN KEY (session_id)
                REFERENCES session (id) ON DELETE CASCADE,
            CONSTRAINT ck_refresh_token_hash CHECK (octet_length(token_hash) = 32)
        )
    """)
    db.execute_sql("CREATE INDEX ix_refresh_token_session_id ON refresh_token (session_id)")


def down(_migrator, db):
    """Drop the tables."""
    db.execute_sql("DROP TABLE refresh_token, session, users")
