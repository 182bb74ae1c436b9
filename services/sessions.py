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

from database.transactions import autocommit, transaction
from domain.actor import Actor
from domain.errors import InvalidCredentials, NotFound, RefreshRaced, SessionExpired
from domain.paging import Page
from models import session as sessions
from models import user as users
from models.session import OpenSession, Session, SpentToken
from models.user import Credentials, User
from services import access_tokens, passwords, revocation, security_events, throttling
from services.process import configuration
from services.throttling import Pass
from services.users import canonical_email

__all__ = [
    "OpenSession",
    "Session",
    "SignIn",
    "issue_token",
    "list_sessions",
    "login",
    "logout",
    "refresh_session",
    "revoke_session",
]

# 256 bits: not to be guessed, so a fast hash is enough to keep it by.
_TOKEN_BYTES = 32


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
        TooManyAttempts: too many have failed, of this network or at this account.
        Unavailable: too many are signing in at once.
    """
    email = canonical_email(email)
    passes, known = _admitted(actor=actor, email=email)
    with throttling.judging(passes):
        # With no connection checked out: this takes longer than all the rest.
        verdict = passwords.verified(password, known.password_hash if known else None)
    if known is None or not verdict.right or not known.user.active:
        user_id = known.user.id if known else None
        security_events.record(security_events.SIGN_IN_FAILED, actor=actor, user_id=user_id)
        raise InvalidCredentials
    if verdict.outdated:
        _rehash(user_id=known.user.id, current=known.password_hash, password=password)
    refresh_token = secrets.token_urlsafe(_TOKEN_BYTES)
    session = _start(actor=actor, known=known, refresh_token=refresh_token, passes=passes)
    return _sign_in(known.user, session, refresh_token)


def issue_token(
    *,
    actor: Actor,
    email: str | None = None,
    password: str | None = None,
    refresh_token: str | None = None,
) -> SignIn:
    """Sign in by email and password, or go on with a refresh token, for what is no browser.

    Raises:
        InvalidCredentials, TooManyAttempts, Unavailable: as `login`.
        RefreshRaced, SessionExpired: as `refresh_session`.
    """
    if refresh_token is not None:
        return refresh_session(actor=actor, refresh_token=refresh_token)
    return login(actor=actor, email=email or "", password=password or "")


def refresh_session(*, actor: Actor, refresh_token: str) -> SignIn:
    """Exchange a refresh token, which is spent by that, for the next pair of tokens.

    Raises:
        RefreshRaced: the same client has exchanged it a moment ago; its new pair is good.
        SessionExpired: unknown, expired, or of a session that is over; or spent, and then the
            session is over from now on.
        TooManyAttempts: too many of this network, or of this account.
    """
    following = secrets.token_urlsafe(_TOKEN_BYTES)
    throttling.to_refresh(actor)
    exchanged = _exchange(token_hash=_hash(refresh_token), following=following)
    if exchanged is not None:
        session, user = exchanged
        return _sign_in(user, session, following)
    raced, ended = _raced(actor=actor, token_hash=_hash(refresh_token))
    if raced:
        raise RefreshRaced
    revocation.add(ended)
    raise SessionExpired


def logout(*, actor: Actor) -> None:
    """End the session of the one who asks: here at once, elsewhere within two seconds."""
    assert actor.session_id is not None  # noqa: S101  # the operation asks for a session
    _end(actor=actor, session_id=actor.session_id)
    revocation.add([actor.session_id])


@autocommit
def list_sessions(*, actor: Actor, limit: int, cursor: str | None = None) -> Page[OpenSession]:
    """Return a page of where the one who asks is signed in, the latest sign-in first."""
    return sessions.OPEN_SESSIONS.page(
        sort="-created_at", limit=limit, cursor=cursor, user_id=actor.user_id
    )


def revoke_session(*, actor: Actor, session_id: UUID) -> None:
    """End one of the sessions of the one who asks.

    Raises:
        NotFound: there is none that goes on, or it is somebody else's.
    """
    _revoke(actor=actor, session_id=session_id)
    revocation.add([session_id])


@autocommit
def _admitted(*, actor: Actor, email: str) -> tuple[list[Pass], Credentials | None]:
    passes = throttling.to_sign_in(actor, email)
    return passes, users.FIND_CREDENTIALS.one(email=email)


def _rehash(*, user_id: UUID, current: str, password: str) -> None:
    following = passwords.hashed(password)
    _replace_hash(user_id=user_id, current=current, following=following)


@autocommit
def _replace_hash(*, user_id: UUID, current: str, following: str) -> None:
    users.REPLACE_PASSWORD_HASH.execute(user_id=user_id, current=current, following=following)


@transaction
def _start(*, actor: Actor, known: Credentials, refresh_token: str, passes: list[Pass]) -> Session:
    user_id = known.user.id
    if not users.FIND_TO_SIGN_IN.one(user_id=user_id, password_version=known.password_version):
        # Disabled, or given another password, while this one was being verified.
        raise InvalidCredentials
    limits = configuration()
    session = sessions.START.one(
        session_id=uuid7(),
        user_id=user_id,
        user_agent=actor.kept_user_agent,
        address=actor.kept_address,
        network=actor.network,
        seconds=min(limits.refresh_token_seconds, limits.session_seconds),
    )
    assert session is not None  # noqa: S101  # INSERT ... RETURNING gives a row or raises
    sessions.ISSUE_TOKEN.execute(
        token_hash=_hash(refresh_token),
        session_id=session.id,
        seconds=limits.refresh_token_seconds,
    )
    security_events.record(
        security_events.SIGNED_IN, actor=actor, user_id=user_id, session_id=session.id
    )
    throttling.give_back(passes)
    return session


@transaction
def _exchange(*, token_hash: bytes, following: str) -> tuple[Session, User] | None:
    limits = configuration()
    seconds = limits.refresh_token_seconds
    session_id = sessions.SPEND_TOKEN.one(token_hash=token_hash)
    if session_id is None:
        return None
    prolonged = sessions.PROLONG.one(
        session_id=session_id, seconds=seconds, most_seconds=limits.session_seconds
    )
    if prolonged is None:  # the session over, or its owner disabled
        raise SessionExpired
    throttling.to_refresh_account(prolonged[1].id)
    sessions.ISSUE_TOKEN.execute(
        token_hash=_hash(following), session_id=session_id, seconds=seconds
    )
    return prolonged


@transaction
def _raced(*, actor: Actor, token_hash: bytes) -> tuple[bool, list[UUID]]:
    """Tell whether a token that was refused lost a race; end its session where it did not."""
    spent = sessions.FIND_SPENT_TOKEN.one(token_hash=token_hash)
    if spent is None or spent.seconds_since_spent is None:  # unknown, ended or expired
        return False, []
    if _is_same_client(spent, actor) and (
        spent.seconds_since_spent <= configuration().refresh_grace_seconds
    ):
        return True, []
    sessions.REVOKE.one(session_id=spent.session_id)
    security_events.record(
        security_events.REFRESH_TOKEN_REUSED,
        actor=actor,
        user_id=spent.user_id,
        session_id=spent.session_id,
    )
    return False, [spent.session_id]


@transaction
def _end(*, actor: Actor, session_id: UUID) -> None:
    owner_id = sessions.REVOKE.one(session_id=session_id)
    if owner_id is not None:
        security_events.record(
            security_events.SIGNED_OUT, actor=actor, user_id=owner_id, session_id=session_id
        )


@transaction
def _revoke(*, actor: Actor, session_id: UUID) -> None:
    if not sessions.REVOKE_OWN.one(session_id=session_id, user_id=actor.user_id):
        raise NotFound("session")
    security_events.record(
        security_events.SESSION_REVOKED,
        actor=actor,
        user_id=actor.user_id,
        session_id=session_id,
    )


def _is_same_client(spent: SpentToken, actor: Actor) -> bool:
    # Not by address: two tabs of one browser may come over IPv4 and IPv6.
    return spent.user_agent == actor.kept_user_agent


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
