"""Sign-ins and their refresh tokens, each token good once."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import SQL, BlobField, TextField, UUIDField, fn

from models.statement import Command, Parameter, Statement
from models.table import InstantField, Table, check, index, primary_key, reference
from models.user import PUBLIC_COLUMNS, User, UserTable


class SessionTable(Table):
    """One sign-in."""

    id = UUIDField()
    user = reference(UserTable, "fk_session_user_id")
    user_agent = TextField()
    address = TextField()
    created_at = InstantField()
    last_used_at = InstantField()
    expires_at = InstantField()
    revoked_at = InstantField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "session"
        constraints = (primary_key("pk_session", "id"),)


index(SessionTable, "ix_session_user_id", "user_id, created_at, id")


class RefreshTokenTable(Table):
    """One of the refresh tokens of a sign-in; only the latest is unspent."""

    token_hash = BlobField()
    session = reference(SessionTable, "fk_refresh_token_session_id", on_delete="CASCADE")
    issued_at = InstantField()
    expires_at = InstantField()
    spent_at = InstantField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "refresh_token"
        constraints = (
            primary_key("pk_refresh_token", "token_hash"),
            check("ck_refresh_token_hash", "octet_length(token_hash) = 32"),
        )


index(RefreshTokenTable, "ix_refresh_token_session_id", "session_id")


class Session(NamedTuple):
    """A sign-in as its owner sees it."""

    id: UUID
    created_at: datetime
    expires_at: datetime


class SpentToken(NamedTuple):
    """A refresh token that is not good any more, of a session that is still going on."""

    session_id: UUID
    user_agent: str
    seconds_since_spent: float | None


# The database's clock, which all the application's machines share.
_EXPIRY = fn.now() + fn.make_interval(SQL("secs => %(seconds)s"))

START = Statement(
    SessionTable.insert(
        {
            SessionTable.id: Parameter("session_id"),
            SessionTable.user: Parameter("user_id"),
            SessionTable.user_agent: Parameter("user_agent"),
            SessionTable.address: Parameter("address"),
            SessionTable.created_at: fn.now(),
            SessionTable.last_used_at: fn.now(),
            SessionTable.expires_at: _EXPIRY,
        }
    ).returning(SessionTable.id, SessionTable.created_at, SessionTable.expires_at),
    Session._make,
)

ISSUE_TOKEN = Command(
    RefreshTokenTable.insert(
        {
            RefreshTokenTable.token_hash: Parameter("token_hash"),
            RefreshTokenTable.session: Parameter("session_id"),
            RefreshTokenTable.issued_at: fn.now(),
            RefreshTokenTable.expires_at: _EXPIRY,
        }
    )
)

# Of two requests that show one token at once, the second waits here for the first, and then finds
# it spent.
SPEND_TOKEN = Statement(
    RefreshTokenTable.update(spent_at=fn.now())
    .where(
        RefreshTokenTable.token_hash == Parameter("token_hash"),
        RefreshTokenTable.spent_at.is_null(),
        RefreshTokenTable.expires_at > fn.now(),
    )
    .returning(RefreshTokenTable.session),
    lambda columns: columns[0],
)

# Ends nothing that has been ended: a logout at the same moment wins.
PROLONG = Statement(
    SessionTable.update(last_used_at=fn.now(), expires_at=_EXPIRY)
    .from_(UserTable)
    .where(
        SessionTable.id == Parameter("session_id"),
        SessionTable.revoked_at.is_null(),
        SessionTable.user == UserTable.id,
        UserTable.active,
    )
    .returning(SessionTable.id, SessionTable.created_at, SessionTable.expires_at, *PUBLIC_COLUMNS),
    lambda columns: (Session._make(columns[:3]), User._make(columns[3:])),
)

FIND_SPENT_TOKEN = Statement(
    RefreshTokenTable.select(
        SessionTable.id,
        SessionTable.user_agent,
        fn.date_part("epoch", fn.now() - RefreshTokenTable.spent_at),
    )
    .join(SessionTable, on=RefreshTokenTable.session == SessionTable.id)
    .where(
        RefreshTokenTable.token_hash == Parameter("token_hash"),
        SessionTable.revoked_at.is_null(),
    ),
    SpentToken._make,
)

REVOKE = Command(
    SessionTable.update(revoked_at=fn.now()).where(
        SessionTable.id == Parameter("session_id"), SessionTable.revoked_at.is_null()
    )
)
