"""The mail outbox."""


def up(_migrator, db):
    """Create the table."""
    db.execute_sql("""
        CREATE TABLE mail (
            kind text COLLATE "C" NOT NULL,
            -- What the mail is about, such as an order: each mail is sent once.
            subject_id uuid NOT NULL,
            -- Without a foreign key: a mail to an address that nobody has registered has no user,
            -- and placing an order must not lock the user's row again.
            user_id uuid,
            -- Null: the email that the user has when the mail is sent.
            recipient text,
            -- What the text needs and no other table has. Erased when the mail is done.
            details jsonb,
            created_at timestamptz NOT NULL,
            -- After this time the mail is of no use, and is not sent.
            expires_at timestamptz,
            attempts integer NOT NULL DEFAULT 0,
            -- Null: the mail is done.
            next_attempt_at timestamptz,
            outcome text,
            failure text,
            done_at timestamptz,
            CONSTRAINT pk_mail PRIMARY KEY (kind, subject_id),
            CONSTRAINT ck_mail_outcome CHECK
                (outcome IN ('SENT', 'REFUSED', 'GIVEN_UP', 'EXPIRED', 'NOT_NEEDED')),
            CONSTRAINT ck_mail_done CHECK
                ((outcome IS NULL) = (next_attempt_at IS NOT NULL)
                    AND (outcome IS NULL) = (done_at IS NULL))
        )
    """)
    db.execute_sql("""
        CREATE INDEX ix_mail_next_attempt_at ON mail (next_attempt_at)
            WHERE next_attempt_at IS NOT NULL
    """)
    db.execute_sql("CREATE INDEX ix_mail_done_at ON mail (done_at) WHERE done_at IS NOT NULL")
    db.execute_sql("CREATE INDEX ix_mail_user_id ON mail (user_id) WHERE user_id IS NOT NULL")


def down(_migrator, db):
    """Drop the table."""
    db.execute_sql("DROP TABLE mail")
