"""The mail outbox: mails to send, written in the transaction that causes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import SQL, IntegerField, TextField, UUIDField

from database.statement import Command, Statement
from database.table import DocumentField, InstantField, Table, check, index, primary_key


class MailTable(Table):
    """Mails that are due, and for some time those that are done."""

    kind = TextField(collation='"C"')
    subject_id = UUIDField()
    user_id = UUIDField(null=True)
    recipient = TextField(null=True)
    details = DocumentField(null=True)
    created_at = InstantField()
    expires_at = InstantField(null=True)
    attempts = IntegerField(constraints=[SQL("DEFAULT 0")])
    next_attempt_at = InstantField(null=True)
    outcome = TextField(null=True)
    failure = TextField(null=True)
    done_at = InstantField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "mail"
        constraints = (
            primary_key("pk_mail", "kind", "subject_id"),
            check(
                "ck_mail_outcome",
                "outcome IN ('SENT', 'REFUSED', 'GIVEN_UP', 'EXPIRED', 'NOT_NEEDED')",
            ),
            check(
                "ck_mail_done",
                "(outcome IS NULL) = (next_attempt_at IS NOT NULL)"
                " AND (outcome IS NULL) = (done_at IS NULL)",
            ),
        )


index(MailTable, "ix_mail_next_attempt_at", "next_attempt_at", where="next_attempt_at IS NOT NULL")
index(MailTable, "ix_mail_done_at", "done_at", where="done_at IS NOT NULL")
index(MailTable, "ix_mail_user_id", "user_id", where="user_id IS NOT NULL")


class Mail(NamedTuple):
    """A mail that is due. `subject_id` is the id of what it is about, such as an order."""

    kind: str
    subject_id: UUID
    user_id: UUID | None
    # None: the email of the user when the mail is sent.
    recipient: str | None
    details: Any
    # The number of this attempt: 1 for the first one.
    attempt: int
    is_expired: bool
    age_seconds: float
    created_at: datetime


class MailRecord(NamedTuple):
    """What is stored about a mail to a user. `outcome` is None until the mail is done."""

    kind: str
    subject_id: UUID
    created_at: datetime
    outcome: str | None
    done_at: datetime | None


# The next mails of a user after this kind and subject.
FIND_OF_USER = Statement(
    """
    SELECT kind, subject_id, created_at, outcome, done_at FROM mail
    WHERE user_id = %(user_id)s AND (kind, subject_id) > (%(after_kind)s, %(after_subject_id)s)
    ORDER BY kind, subject_id LIMIT %(limit)s
    """,
    MailRecord._make,
)

# Writes nothing if there is such a mail already. `placement.PLACE` inserts the mail about a new
# order itself.
INSERT = Command(
    """
    INSERT INTO mail (kind, subject_id, user_id, recipient, details, created_at, expires_at,
        next_attempt_at)
    VALUES (%(kind)s, %(subject_id)s, %(user_id)s, %(recipient)s, %(details)s::jsonb,
        clock_timestamp(), clock_timestamp() + %(expiry_seconds)s * interval '1 second',
        clock_timestamp())
    ON CONFLICT (kind, subject_id) DO NOTHING
    """
)

# Claims the mail that has been due for the longest time: for `lease_seconds`, no other worker sends
# it. If this process is killed, it is due again afterwards.
CLAIM_DUE = Statement(
    """
    UPDATE mail SET attempts = attempts + 1,
        next_attempt_at = clock_timestamp() + %(lease_seconds)s * interval '1 second'
    WHERE (kind, subject_id) = (
        SELECT kind, subject_id FROM mail WHERE next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING kind, subject_id, user_id, recipient, details, attempts,
        coalesce(expires_at <= clock_timestamp(), false),
        date_part('epoch', clock_timestamp() - created_at), created_at
    """,
    Mail._make,
)

POSTPONE = Command(
    """
    UPDATE mail SET failure = %(failure)s,
        next_attempt_at = clock_timestamp() + %(seconds)s * interval '1 second'
    WHERE kind = %(kind)s AND subject_id = %(subject_id)s AND outcome IS NULL
    """
)

# Erases what may be personal data: nobody needs it any more.
FINISH = Command(
    """
    UPDATE mail SET outcome = %(outcome)s, failure = %(failure)s, done_at = clock_timestamp(),
        next_attempt_at = NULL, recipient = NULL, details = NULL
    WHERE kind = %(kind)s AND subject_id = %(subject_id)s AND outcome IS NULL
    """
)

PURGE = Command(
    """
    DELETE FROM mail WHERE (kind, subject_id) IN (
        SELECT kind, subject_id FROM mail
        WHERE done_at <= clock_timestamp() - %(days)s * interval '1 day'
        ORDER BY done_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    """
)
