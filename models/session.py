"""Sessions (sign-ins), and their single-use refresh tokens (refresh token rotation)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import SQL, BlobField, Expression, TextField, UUIDField, fn

from database.listing import Listing, Sort
from database.statement import Command, Parameter, Statement
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from models.user import PUBLIC_COLUMNS, User, UserTable


class SessionTable(Table):
    """Sessions: one row for each sign-in."""

    id = UUIDField()
    user = foreign_key(UserTable, "fk_session_user_id")
    user_agent = TextField()
    address = TextField()
    network = TextField(constraints=[SQL("DEFAULT ''")])
    created_at = InstantField()
    last_used_at = InstantField()
    expires_at = InstantField()
    revoked_at = InstantField(null=True)

    class Meta:
        """The table's name and constraints."""

        table_name = "session"
        constraints = (primary_key("pk_session", "id"),)


index(SessionTable, "ix_session_user_id", "user_id, created_at, id")
index(SessionTable, "ix_session_revoked_at", "revoked_at", where="revoked_at IS NOT NULL")
index(SessionTable, "ix_session_expires_at", "expires_at")


class RefreshTokenTable(Table):
    """Refresh tokens of sessions; only the latest token of a session has not been used."""

    token_hash = BlobField()
    session = foreign_key(SessionTable, "fk_refresh_token_session_id", on_delete="CASCADE")
    issued_at = InstantField()
    expires_at = InstantField()
    # When the token was exchanged for the next one.
    used_at = InstantField(null=True, column_name="spent_at")

    class Meta:
        """The table's name and constraints."""

        table_name = "refresh_token"
        constraints = (
            primary_key("pk_refresh_token", "token_hash"),
            check("ck_refresh_token_hash", "octet_length(token_hash) = 32"),
        )


index(RefreshTokenTable, "ix_refresh_token_session_id", "session_id")
index(RefreshTokenTable, "ix_refresh_token_expires_at", "expires_at")


class Session(NamedTuple):
    """A session as its owner sees it after signing in."""

    id: UUID
    created_at: datetime
    expires_at: datetime


class OpenSession(NamedTuple):
    """A session that is neither revoked nor expired, as its owner sees it in a list."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str


class StoredSession(NamedTuple):
    """A session, open or not, with everything that is stored about its client."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    address: str
    user_agent: str


class RevokedSession(NamedTuple):
    """A revoked session, and the number of seconds since it was revoked."""

    session_id: UUID
    seconds_ago: float


class UsedToken(NamedTuple):
    """A refresh token that was used or has expired, of a session that is not revoked."""

    session_id: UUID
    user_id: UUID
    user_agent: str
    seconds_since_use: float | None


# Computed with the database's clock, which all processes of the application share.
_EXPIRY = fn.now() + fn.make_interval(SQL("secs => %(seconds)s"))
# A session ends this long after it began, however often it is refreshed.
_LATEST_EXPIRY = SessionTable.created_at + fn.make_interval(SQL("secs => %(max_seconds)s"))
_IS_OPEN = SessionTable.revoked_at.is_null() & (SessionTable.expires_at > fn.now())

INSERT = Statement(
    SessionTable.insert(
        {
            SessionTable.id: Parameter("session_id"),
            SessionTable.user: Parameter("user_id"),
            SessionTable.user_agent: Parameter("user_agent"),
            SessionTable.address: Parameter("address"),
            SessionTable.network: Parameter("network"),
            SessionTable.created_at: fn.now(),
            SessionTable.last_used_at: fn.now(),
            SessionTable.expires_at: _EXPIRY,
        }
    ).returning(SessionTable.id, SessionTable.created_at, SessionTable.expires_at),
    Session._make,
)

INSERT_TOKEN = Command(
    RefreshTokenTable.insert(
        {
            RefreshTokenTable.token_hash: Parameter("token_hash"),
            RefreshTokenTable.session: Parameter("session_id"),
            RefreshTokenTable.issued_at: fn.now(),
            RefreshTokenTable.expires_at: _EXPIRY,
        }
    )
)

# If two concurrent requests present the same token, the second waits here for the first one's row
# lock, and then finds that the token has been used.
USE_TOKEN = Statement(
    RefreshTokenTable.update(used_at=fn.now())
    .where(
        RefreshTokenTable.token_hash == Parameter("token_hash"),
        RefreshTokenTable.used_at.is_null(),
        RefreshTokenTable.expires_at > fn.now(),
    )
    .returning(RefreshTokenTable.session),
    lambda columns: columns[0],
)

# Returns no row if the session was revoked: a concurrent sign-out takes precedence.
EXTEND = Statement(
    SessionTable.update(last_used_at=fn.now(), expires_at=fn.least(_EXPIRY, _LATEST_EXPIRY))
    .from_(UserTable)
    .where(
        SessionTable.id == Parameter("session_id"),
        _IS_OPEN,
        SessionTable.user == UserTable.id,
        UserTable.active,
    )
    .returning(SessionTable.id, SessionTable.created_at, SessionTable.expires_at, *PUBLIC_COLUMNS),
    lambda columns: (Session._make(columns[:3]), User._make(columns[3:])),
)

FIND_USED_TOKEN = Statement(
    RefreshTokenTable.select(
        SessionTable.id,
        SessionTable.user,
        SessionTable.user_agent,
        fn.date_part("epoch", fn.now() - RefreshTokenTable.used_at),
    )
    .join(SessionTable, on=RefreshTokenTable.session == SessionTable.id)
    .where(
        RefreshTokenTable.token_hash == Parameter("token_hash"),
        SessionTable.revoked_at.is_null(),
    ),
    UsedToken._make,
)

# Finds the session of any token, used or expired.
FIND_SESSION_OF_TOKEN = Statement(
    RefreshTokenTable.select(RefreshTokenTable.session).where(
        RefreshTokenTable.token_hash == Parameter("token_hash")
    ),
    lambda columns: columns[0],
)

# clock_timestamp(), not now() (the start of the transaction): FIND_REVOKED reads only recent
# revocations, and could miss one with an earlier timestamp.
REVOKE = Statement(
    SessionTable.update(revoked_at=fn.clock_timestamp())
    .where(SessionTable.id == Parameter("session_id"), SessionTable.revoked_at.is_null())
    .returning(SessionTable.user),
    lambda columns: columns[0],
)

REVOKE_OWN = Statement(
    SessionTable.update(revoked_at=fn.clock_timestamp())
    .where(
        SessionTable.id == Parameter("session_id"),
        SessionTable.user == Parameter("user_id"),
        _IS_OPEN,
    )
    .returning(SessionTable.id),
    lambda columns: columns[0],
)

# Revokes all sessions of a user except `except_session_id`. If that is null, revokes all of them.
REVOKE_OTHERS = Statement(
    SessionTable.update(revoked_at=fn.clock_timestamp())
    .where(
        SessionTable.user == Parameter("user_id"),
        Expression(SessionTable.id, "IS DISTINCT FROM", Parameter("except_session_id", "uuid")),
        SessionTable.revoked_at.is_null(),
    )
    .returning(SessionTable.id),
    lambda columns: columns[0],
)

FIND_REVOKED = Statement(
    SessionTable.select(
        SessionTable.id,
        fn.date_part("epoch", fn.clock_timestamp() - SessionTable.revoked_at),
    ).where(
        SessionTable.revoked_at > fn.now() - fn.make_interval(SQL("secs => %(seconds)s")),
    ),
    RevokedSession._make,
)

# Returns a row if the user with this email has signed in from this network before.
FIND_KNOWN_NETWORK = Statement(
    SessionTable.select(SessionTable.id)
    .join(UserTable, on=SessionTable.user == UserTable.id)
    .where(UserTable.email == Parameter("email"), SessionTable.network == Parameter("network"))
    .limit(1),
    lambda columns: columns[0],
)

OPEN_SESSIONS: Listing[OpenSession] = Listing(
    SessionTable.select(
        SessionTable.id,
        SessionTable.created_at,
        SessionTable.last_used_at,
        SessionTable.expires_at,
        SessionTable.user_agent,
    ).where(_IS_OPEN),
    OpenSession._make,
    id_field=SessionTable.id,
    sorts={"created_at": Sort(SessionTable.created_at, datetime, lambda row: row.created_at)},
    filters={"user_id": SessionTable.user == Parameter("user_id")},
    keys={"user_id"},
)

SESSIONS: Listing[StoredSession] = Listing(
    SessionTable.select(
        SessionTable.id,
        SessionTable.created_at,
        SessionTable.last_used_at,
        SessionTable.expires_at,
        SessionTable.revoked_at,
        SessionTable.address,
        SessionTable.user_agent,
    ),
    StoredSession._make,
    id_field=SessionTable.id,
    sorts={"created_at": Sort(SessionTable.created_at, datetime, lambda row: row.created_at)},
    filters={"user_id": SessionTable.user == Parameter("user_id")},
    keys={"user_id"},
)

# Deletes tokens that expired more than a day ago. A deleted token that is presented again is
# refused like an unknown one.
PURGE_TOKENS = Command(
    """
    DELETE FROM refresh_token WHERE token_hash IN (
        SELECT token_hash FROM refresh_token WHERE expires_at < now() - interval '1 day'
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
)

# Deletes sessions that expired more than `seconds` ago, and their tokens (ON DELETE CASCADE).
PURGE_SESSIONS = Command(
    """
    DELETE FROM session WHERE id IN (
        SELECT id FROM session WHERE expires_at < now() - make_interval(secs => %(seconds)s)
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
)
