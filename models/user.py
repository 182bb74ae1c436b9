"""Users: the table, and the queries that find and change users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from peewee import SQL, BooleanField, IntegerField, TextField, UUIDField, fn

from database.adaptive_search import SearchListing, Seek
from database.listing import Sort
from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE,
    SHARE,
    InstantField,
    Table,
    check,
    index,
    primary_key,
    unique,
)
from database.text_search import has_words, words_of
from domain.actor import ADMIN


class UserTable(Table):
    """Registered users."""

    id = UUIDField()
    email = TextField(collation='"C"')
    name = TextField()
    password_hash = TextField()
    role = TextField()
    active = BooleanField()
    created_at = InstantField()
    updated_at = InstantField()
    password_version = IntegerField(constraints=[SQL("DEFAULT 1")])
    # Whether the user has proven access to the email.
    email_verified = BooleanField(constraints=[SQL("DEFAULT false")])
    # Whether signing in is refused until the email is verified.
    verify_before_sign_in = BooleanField(constraints=[SQL("DEFAULT false")])
    # A deleted user has neither email nor name, only placeholders, and stays disabled.
    deleted_at = InstantField(null=True)
    search = words_of("email || ' ' || name")

    class Meta:
        """The table's name and constraints."""

        table_name = "users"  # USER is a reserved word of SQL
        constraints = (
            primary_key("pk_users", "id"),
            unique("uq_users_email", "email"),
            check("ck_users_email", "email = lower(email)"),
            check("ck_users_role", "role IN ('CLIENT', 'ADMIN')"),
            check("ck_users_deleted", "deleted_at IS NULL OR NOT active"),
        )


index(UserTable, "ix_users_search", "search", using="gin")
index(UserTable, "ix_users_created_at", "created_at, id")
index(UserTable, "ix_users_administrators", "id", where="role = 'ADMIN'")


class User(NamedTuple):
    """A user, without the password hash."""

    id: UUID
    email: str
    name: str
    role: str
    active: bool
    created_at: datetime
    email_verified: bool
    deleted_at: datetime | None


class Credentials(NamedTuple):
    """A user, and the hash for verifying the password."""

    user: User
    password_hash: str
    password_version: int
    may_sign_in: bool


PUBLIC_COLUMNS = (
    UserTable.id,
    UserTable.email,
    UserTable.name,
    UserTable.role,
    UserTable.active,
    UserTable.created_at,
    UserTable.email_verified,
    UserTable.deleted_at,
)

FIND = Statement(
    UserTable.select(*PUBLIC_COLUMNS).where(UserTable.id == Parameter("user_id")), User._make
)

# Like FIND, but locks the row against updates until this transaction ends.
FIND_TO_CHANGE = Statement(
    UserTable.select(*PUBLIC_COLUMNS)
    .where(UserTable.id == Parameter("user_id"))
    .for_update(NO_KEY_UPDATE),
    User._make,
)

# Like FIND, but also waits for transactions that insert rows of this user, such as orders: their
# foreign keys lock the user's row (FOR KEY SHARE). Those that begin later wait for this one.
FIND_TO_DELETE = Statement(
    UserTable.select(*PUBLIC_COLUMNS).where(UserTable.id == Parameter("user_id")).for_update(),
    User._make,
)

_CREDENTIALS = UserTable.select(
    *PUBLIC_COLUMNS,
    UserTable.password_hash,
    UserTable.password_version,
    UserTable.active & (UserTable.email_verified | ~UserTable.verify_before_sign_in),
)


def _credentials(columns: Sequence[Any]) -> Credentials:
    return Credentials(User._make(columns[:-3]), *columns[-3:])


# Returns one user; no row if there are no users.
FIND_ANY = Statement(UserTable.select(UserTable.id).limit(1), lambda columns: columns[0])

# Returns one active administrator; no row if there are none.
FIND_ANY_ADMINISTRATOR = Statement(
    UserTable.select(UserTable.id).where((UserTable.role == "ADMIN") & UserTable.active).limit(1),
    lambda columns: columns[0],
)

FIND_CREDENTIALS = Statement(
    _CREDENTIALS.where(UserTable.email == Parameter("email")), _credentials
)

FIND_CREDENTIALS_BY_ID = Statement(
    _CREDENTIALS.where(UserTable.id == Parameter("user_id")), _credentials
)

# Locks all active administrators, in the order of their ids. If two administrators demote each
# other concurrently, the second waits here, and then finds that it is no longer an administrator.
FIND_ADMINISTRATORS_TO_CHANGE = Statement(
    UserTable.select(UserTable.id)
    .where(UserTable.role == ADMIN, UserTable.active)
    .order_by(UserTable.id)
    .for_update(NO_KEY_UPDATE),
    lambda columns: columns[0],
)

# A shared lock: concurrent sign-ins of a user do not wait for each other. They wait for a
# transaction that disables the user or changes the password, and then find no row.
FIND_TO_SIGN_IN = Statement(
    UserTable.select(UserTable.id)
    .where(
        UserTable.id == Parameter("user_id"),
        UserTable.password_version == Parameter("password_version"),
        UserTable.active,
    )
    .for_update(SHARE),
    lambda columns: columns[0],
)

_INSERT = UserTable.insert(
    {
        UserTable.id: Parameter("user_id"),
        UserTable.email: Parameter("email"),
        UserTable.name: Parameter("name"),
        UserTable.password_hash: Parameter("password_hash"),
        UserTable.role: Parameter("role"),
        UserTable.active: True,
        UserTable.password_version: 1,
        UserTable.email_verified: Parameter("email_verified"),
        UserTable.verify_before_sign_in: Parameter("verify_before_sign_in"),
        UserTable.created_at: fn.now(),
        UserTable.updated_at: fn.now(),
    }
)

# An email that is already registered violates uq_users_email.
INSERT = Statement(_INSERT.returning(*PUBLIC_COLUMNS), User._make)

# Inserts nothing, and returns no row, if the email is already registered.
INSERT_UNLESS_TAKEN = Statement(
    _INSERT.on_conflict(action="IGNORE", conflict_target=[UserTable.email]).returning(
        *PUBLIC_COLUMNS
    ),
    User._make,
)

# Replaces the hash only if it is still the one that was verified: the password may have been
# changed concurrently.
REPLACE_PASSWORD_HASH = Command(
    UserTable.update(password_hash=Parameter("new_hash"), updated_at=fn.now()).where(
        UserTable.id == Parameter("user_id"),
        UserTable.password_hash == Parameter("verified_hash"),
    )
)

CHANGE_PASSWORD = Command(
    UserTable.update(
        password_hash=Parameter("new_hash"),
        password_version=UserTable.password_version + 1,
        updated_at=fn.now(),
    ).where(
        UserTable.id == Parameter("user_id"),
        UserTable.password_version == Parameter("password_version"),
    )
)

# The user's row is locked, so the password is not changed concurrently. The token of the mail has
# proven access to the email.
RESET_PASSWORD = Command(
    UserTable.update(
        password_hash=Parameter("new_hash"),
        password_version=UserTable.password_version + 1,
        email_verified=True,
        updated_at=fn.now(),
    ).where(UserTable.id == Parameter("user_id"))
)

# A new email that another user has violates uq_users_email.
SET_VERIFIED_EMAIL = Command(
    UserTable.update(email=Parameter("email"), email_verified=True, updated_at=fn.now()).where(
        UserTable.id == Parameter("user_id")
    )
)

UPDATE_NAME = Statement(
    UserTable.update(name=Parameter("name"), updated_at=fn.now())
    .where(UserTable.id == Parameter("user_id"), UserTable.active)
    .returning(*PUBLIC_COLUMNS),
    User._make,
)

UPDATE = Command(
    UserTable.update(role=Parameter("role"), active=Parameter("active"), updated_at=fn.now()).where(
        UserTable.id == Parameter("user_id")
    )
)

USERS: SearchListing[User] = SearchListing(
    UserTable.select(*PUBLIC_COLUMNS),
    User._make,
    id_field=UserTable.id,
    sorts={
        "created_at": Sort(UserTable.created_at, datetime, lambda user: user.created_at),
    },
    filters={
        "words": has_words(UserTable.search),
        "role": UserTable.role == Parameter("role"),
        "active": UserTable.active == Parameter("active"),
    },
    seeks=(Seek(UserTable.select(UserTable.id), frozenset({"words"})),),
)
