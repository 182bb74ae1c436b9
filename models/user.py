"""People: their table and the queries that find and keep them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import BooleanField, TextField, UUIDField, fn

from models.statement import Command, Parameter, Statement
from models.table import InstantField, Table, check, primary_key, unique


class UserTable(Table):
    """Somebody who has registered."""

    id = UUIDField()
    email = TextField(collation='"C"')
    name = TextField()
    password_hash = TextField()
    role = TextField()
    active = BooleanField()
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "users"  # USER is a word of SQL's own
        constraints = (
            primary_key("pk_users", "id"),
            unique("uq_users_email", "email"),
            check("ck_users_email", "email = lower(email)"),
            check("ck_users_role", "role IN ('CLIENT', 'ADMIN')"),
        )


class User(NamedTuple):
    """A person as others see them."""

    id: UUID
    email: str
    name: str
    role: str
    active: bool
    created_at: datetime


class Credentials(NamedTuple):
    """A person and the hash that their password is held against."""

    user: User
    password_hash: str


PUBLIC_COLUMNS = (
    UserTable.id,
    UserTable.email,
    UserTable.name,
    UserTable.role,
    UserTable.active,
    UserTable.created_at,
)

FIND = Statement(
    UserTable.select(*PUBLIC_COLUMNS).where(UserTable.id == Parameter("user_id")), User._make
)

FIND_CREDENTIALS = Statement(
    UserTable.select(*PUBLIC_COLUMNS, UserTable.password_hash).where(
        UserTable.email == Parameter("email")
    ),
    lambda columns: Credentials(User._make(columns[:-1]), columns[-1]),
)

# A taken email breaks uq_users_email.
ADD = Statement(
    UserTable.insert(
        {
            UserTable.id: Parameter("user_id"),
            UserTable.email: Parameter("email"),
            UserTable.name: Parameter("name"),
            UserTable.password_hash: Parameter("password_hash"),
            UserTable.role: Parameter("role"),
            UserTable.active: True,
            UserTable.created_at: fn.now(),
            UserTable.updated_at: fn.now(),
        }
    ).returning(*PUBLIC_COLUMNS),
    User._make,
)

# Only in place of the hash that was verified: a password changed in the meantime stays changed.
REPLACE_PASSWORD_HASH = Command(
    UserTable.update(password_hash=Parameter("following"), updated_at=fn.now()).where(
        UserTable.id == Parameter("user_id"), UserTable.password_hash == Parameter("current")
    )
)
