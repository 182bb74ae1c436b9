"""Signing in, staying signed in, signing out.

A session is a family of refresh tokens, each of which is good once. Somebody who shows a spent
one may have stolen it, so the whole session ends; but two tabs of one browser that refresh at the
same moment look much the same, so within a few seconds they are only told to try again.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.actor import Actor
from domain.errors import InvalidCredentials, RefreshRaced, SessionExpired
from models import session as sessions
from models import user as users
from models.database import reading, transaction
from models.session import Session, SpentToken
from models.user import Credentials, User
from services import access_tokens, passwords
from services.configuration import configuration
from services.users import canonical_email

__all__ = ["Session", "SignIn", "login", "logout", "refresh_session"]

# 256 bits: not to be guessed, so a fast hash is enough to keep it by.
_TOKEN_BYTES = 32
_LONGEST_USER_AGENT = 200
_LONGEST_ADDRESS = 64


class SignIn(NamedTuple):
    """Somebody signed in, with the tokens that prove it for a while."""

    user: User
    session: Session
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


def login(*, actor: Actor, email: str, password: str) -> SignIn:
    """Start a session. An unknown email takes as long to refuse as a wrong password.

    Raises:
        InvalidCredentials: unknown email, wrong password, or an account that is disabled.
        Unavailable: too many are signing in at once.
    """
    known = _credentials(email=canonical_email(email))
    # With no connection checked out: this takes longer than all the rest.
    verdict = passwords.verified(password, known.password_hash if known else None)
    if known is None or not verdict.right or not known.user.active:
        raise InvalidCredentials
    if verdict.outdated:
        _rehash(user_id=known.user.id, current=known.password_hash, password=password)
    refresh_token = secrets.token_urlsafe(_TOKEN_BYTES)
    session = _start(actor=actor, user=known.user, refresh_token=refresh_token)
    return _sign_in(known.user, session, refresh_token)


def refresh_session(*, actor: Actor, refresh_token: str) -> SignIn:
    """Exchange a refresh token, which is spent by that, for the next pair of tokens.

    Raises:
        RefreshRaced: the same client has exchanged it a moment ago; its new pair is good.
        SessionExpired: unknown, expired, or of a session that is over; or spent, and then the
            session is over from now on.
    """
    following = secrets.token_urlsafe(_TOKEN_BYTES)
    exchanged = _exchange(token_hash=_hash(refresh_token), following=following)
    if exchanged is not None:
        session, user = exchanged
        return _sign_in(user, session, following)
    if _raced(actor=actor, token_hash=_hash(refresh_token)):
        raise RefreshRaced
    raise SessionExpired


@reading
def logout(*, actor: Actor) -> None:
    """End the session of the one who asks. Its access token stays good for its last minutes."""
    sessions.REVOKE.execute(session_id=actor.session_id)


@reading
def _credentials(*, email: str) -> Credentials | None:
    return users.FIND_CREDENTIALS.one(email=email)


def _rehash(*, user_id: UUID, current: str, password: str) -> None:
    following = passwords.hashed(password)
    _replace_hash(user_id=user_id, current=current, following=following)


@reading
def _replace_hash(*, user_id: UUID, current: str, following: str) -> None:
    users.REPLACE_PASSWORD_HASH.execute(user_id=user_id, current=current, following=following)


@transaction
def _start(*, actor: Actor, user: User, refresh_token: str) -> Session:
    seconds = configuration().refresh_token_seconds
    session = sessions.START.one(
        session_id=uuid7(),
        user_id=user.id,
        user_agent=_user_agent(actor),
        address=actor.address[:_LONGEST_ADDRESS],
        seconds=seconds,
    )
    assert session is not None  # noqa: S101  # INSERT ... RETURNING gives a row or raises
    sessions.ISSUE_TOKEN.execute(
        token_hash=_hash(refresh_token), session_id=session.id, seconds=seconds
    )
    return session


@transaction
def _exchange(*, token_hash: bytes, following: str) -> tuple[Session, User] | None:
    seconds = configuration().refresh_token_seconds
    session_id = sessions.SPEND_TOKEN.one(token_hash=token_hash)
    if session_id is None:
        return None
    prolonged = sessions.PROLONG.one(session_id=session_id, seconds=seconds)
    if prolonged is None:  # the session revoked, or its owner disabled
        raise SessionExpired
    sessions.ISSUE_TOKEN.execute(
        token_hash=_hash(following), session_id=session_id, seconds=seconds
    )
    return prolonged


@reading
def _raced(*, actor: Actor, token_hash: bytes) -> bool:
    """Tell whether a token that was refused lost a race; end its session where it did not."""
    spent = sessions.FIND_SPENT_TOKEN.one(token_hash=token_hash)
    if spent is None or spent.seconds_since_spent is None:  # unknown, ended or expired
        return False
    if _is_same_client(spent, actor) and (
        spent.seconds_since_spent <= configuration().refresh_grace_seconds
    ):
        return True
    sessions.REVOKE.execute(session_id=spent.session_id)
    return False


def _is_same_client(spent: SpentToken, actor: Actor) -> bool:
    # Not by address: two tabs of one browser may come over IPv4 and IPv6.
    return spent.user_agent == _user_agent(actor)


def _user_agent(actor: Actor) -> str:
    return actor.user_agent.replace("\0", "")[:_LONGEST_USER_AGENT]


def _sign_in(user: User, session: Session, refresh_token: str) -> SignIn:
    access_token, access_expires_at = access_tokens.issue(
        user_id=user.id, role=user.role, session_id=session.id
    )
    return SignIn(
        user=user,
        session=session,
        access_token=access_token,
        access_expires_at=access_expires_at,
        refresh_token=refresh_token,
        refresh_expires_at=session.expires_at,
    )


def _hash(token: str) -> bytes:
    # errors=replace: whatever a client sends as a token, it is only an unknown one.
    return hashlib.sha256(token.encode(errors="replace")).digest()
