"""Tokens of mails that reset a password or confirm an address.

The worker creates a token when it sends the mail. So the database never contains the token itself,
not even in the outbox. A token can be used once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from database.transactions import autocommit, transaction
from domain.account_tokens import VALID_SECONDS
from domain.errors import TokenInvalid
from models import account_token as tokens
from models import user as users
from models.account_token import AccountToken

__all__ = ["AccountToken", "find", "forget", "issue", "use"]

# 256 random bits cannot be guessed, so a fast hash (SHA-256) protects the stored tokens.
_TOKEN_BYTES = 32


@transaction
def issue(kind: str, *, user_id: UUID, email: str, requested_at: datetime) -> str | None:
    """Return a new token for a mail to `email`; None if a newer mail of this kind has been sent.

    Also None if the user was disabled or deleted since the mail was composed.

    Tokens of mails that were requested before become invalid. Joins the transaction of the caller,
    if any.
    """
    user = users.FIND_TO_CHANGE.one(
        user_id=user_id
    )  # the lock that `models.account_token` requires
    if user is None or not user.active:
        return None
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    inserted = tokens.REPLACE.execute(
        token_hash=_hash(token),
        kind=kind,
        user_id=user_id,
        email=email,
        requested_at=requested_at,
        seconds=VALID_SECONDS[kind],
    )
    return token if inserted else None


@autocommit
def find(token: str, kinds: Collection[str]) -> AccountToken:
    """Return a valid token of one of these kinds, without using it.

    Raises:
        TokenInvalid: there is none, or its user is disabled.
    """
    found = tokens.FIND.one(token_hash=_hash(token), kinds=list(kinds))
    if found is None:
        raise TokenInvalid
    return found


@transaction
def use(token: str, kinds: Collection[str]) -> AccountToken:
    """Use a token, with all others of its kind of this user; lock the user's row.

    Joins the transaction of the caller, if any.

    Raises:
        TokenInvalid: there is none, or its user is disabled. Also if a concurrent transaction has
            used it: this one then waits for the lock, and finds it no more.
    """
    users.FIND_TO_CHANGE.one(user_id=find(token, kinds).user.id)
    found = find(token, kinds)
    forget(found.user.id, [found.kind])
    return found


@autocommit
def forget(user_id: UUID, kinds: Collection[str]) -> None:
    """Delete all tokens of these kinds of a user. Joins the transaction of the caller, if any."""
    tokens.DELETE.execute(user_id=user_id, kinds=list(kinds))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
