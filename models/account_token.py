"""Tokens that mails contain: to reset a password, and to confirm an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import BlobField, TextField, fn

from database.statement import Command, Parameter, Statement
from database.table import InstantField, Table, check, foreign_key, index, primary_key
from domain.account_tokens import EMAIL_CHANGE
from models.user import PUBLIC_COLUMNS, User, UserTable


class AccountTokenTable(Table):
    """Tokens that were not used. Only those of a user's newest request of a kind are kept."""

    token_hash = BlobField()
    kind = TextField(collation='"C"')
    user = foreign_key(UserTable, "fk_account_token_user_id")
    email = TextField(collation='"C"')
    requested_at = InstantField()
    expires_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "account_token"
        constraints = (
            primary_key("pk_account_token", "token_hash"),
            check("ck_account_token_hash", "octet_length(token_hash) = 32"),
            check(
                "ck_account_token_kind",
                "kind IN ('PASSWORD_RESET', 'EMAIL_VERIFICATION', 'EMAIL_CHANGE')",
            ),
        )


index(AccountTokenTable, "ix_account_token_user_id", "user_id, kind")
index(AccountTokenTable, "ix_account_token_expires_at", "expires_at")


class AccountToken(NamedTuple):
    """A valid token, with its user. `email` is the address that the token confirms."""

    user: User
    kind: str
    email: str


def _account_token(columns: Sequence[Any]) -> AccountToken:
    return AccountToken(User._make(columns[:-2]), *columns[-2:])


# Replaces the tokens of older requests. Inserts nothing if there is a token of a newer request. The
# caller has locked the user, so no other transaction inserts tokens of this user.
REPLACE = Command(
    """
    WITH replaced AS (
        DELETE FROM account_token
        WHERE user_id = %(user_id)s AND kind = %(kind)s AND requested_at < %(requested_at)s
    )
    INSERT INTO account_token (token_hash, kind, user_id, email, requested_at, expires_at)
    SELECT %(token_hash)s, %(kind)s, %(user_id)s, %(email)s, %(requested_at)s,
        clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE NOT EXISTS (
        SELECT FROM account_token
        WHERE user_id = %(user_id)s AND kind = %(kind)s AND requested_at > %(requested_at)s
    )
    """
)

# Finds a token that is valid for one of these kinds: not expired, of a user who is not disabled,
# and sent to the user's current address, unless it confirms a new one.
FIND = Statement(
    AccountTokenTable.select(*PUBLIC_COLUMNS, AccountTokenTable.kind, AccountTokenTable.email)
    .join(UserTable, on=AccountTokenTable.user == UserTable.id)
    .where(
        AccountTokenTable.token_hash == Parameter("token_hash"),
        AccountTokenTable.kind == fn.any(Parameter("kinds", "text[]")),
        AccountTokenTable.expires_at > fn.clock_timestamp(),
        UserTable.active,
        (AccountTokenTable.kind == EMAIL_CHANGE) | (AccountTokenTable.email == UserTable.email),
    ),
    _account_token,
)

DELETE = Command(
    AccountTokenTable.delete().where(
        AccountTokenTable.user == Parameter("user_id"),
        AccountTokenTable.kind == fn.any(Parameter("kinds", "text[]")),
    )
)

PURGE = Command(
    """
    DELETE FROM account_token WHERE token_hash IN (
        SELECT token_hash FROM account_token WHERE expires_at < now()
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
)
