"""Signing in, refreshing a session, signing out.

A session has a chain of refresh tokens: each can be used once and is then replaced (refresh token
rotation). If a used token is presented again, it may have been stolen, so the session is revoked
(reuse detection; RFC 9700, section 4.14.2). There is one exception: two tabs of one browser may
send the same token at almost the same time. A second use by the same client within a few seconds
is refused, but does not revoke the session: the client can retry with the new token.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit, autocommit_without_retry, transaction
from domain.actor import Actor
from domain.errors import InvalidCredentials, NotFound, RefreshRaced, SessionExpired
from domain.paging import Page
from models import session as sessions
from models import user as users
from models.session import OpenSession, Session, UsedToken
from models.user import Credentials, User
from services import access_tokens, passwords, revocation, security_events, throttling
from services.hashing_queue import Client
from services.process import configuration
from services.throttling import CountedAttempt, PasswordAttempt
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
    "replace_session",
    "revoke_session",
]

# 256 random bits cannot be guessed, so a fast hash (SHA-256) protects the stored tokens.
_TOKEN_BYTES = 32


class SignIn(NamedTuple):
    """A user who is signed in, with the session and a pair of new tokens."""

    user: User
    session: Session
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


def login(
    *, actor: Actor, email: str, password: str, replaced_refresh_token: str | None = None
) -> SignIn:
    """Start a session. Refusing an unknown email takes as long as refusing a wrong password.

    Raises:
        InvalidCredentials: unknown email, wrong password, a disabled account, or one whose email
            must be verified first.
        TooManyAttempts: from this network, or to this account.
        Unavailable: too many users are signing in at the same time.
    """
    email = canonical_email(email)
    client = Client(actor.network, email)
    with throttling.limit_concurrent_sign_ins(client):
        sign_in = _login(actor=actor, client=client, password=password)
    if replaced_refresh_token is not None:
        logout(actor=actor, refresh_token=replaced_refresh_token)
    return sign_in


def issue_token(
    *,
    actor: Actor,
    email: str | None = None,
    password: str | None = None,
    refresh_token: str | None = None,
) -> SignIn:
    """Sign in by email and password, or by a refresh token, for clients that are not browsers.

    Raises:
        InvalidCredentials, TooManyAttempts, Unavailable: as `login`.
        RefreshRaced, SessionExpired: as `refresh_session`.
    """
    if refresh_token is not None:
        return refresh_session(actor=actor, refresh_token=refresh_token)
    return login(actor=actor, email=email or "", password=password or "")


def refresh_session(*, actor: Actor, refresh_token: str) -> SignIn:
    """Use a refresh token and return a new pair of tokens.

    Raises:
        RefreshRaced: the same client has used this token a few seconds ago and has a new pair.
        SessionExpired: the token is unknown or expired, or its session is revoked; or the token
            was used before, which revokes its session.
        TooManyAttempts: from this network, or by this user.
    """
    new_token = secrets.token_urlsafe(_TOKEN_BYTES)
    throttling.count_refresh(actor)
    refreshed = _rotate_token(token_hash=_hash(refresh_token), new_token=new_token)
    if refreshed is not None:
        session, user = refreshed
        return _sign_in(user, session, new_token)
    raced, revoked = _handle_refused_token(actor=actor, token_hash=_hash(refresh_token))
    if raced:
        raise RefreshRaced
    revocation.add(revoked)
    raise SessionExpired


def logout(*, actor: Actor, refresh_token: str | None = None) -> None:
    """Revoke the actor's session and the session of a refresh token, unless they have ended.

    This process refuses their access tokens immediately, other processes within two seconds.
    """
    revocation.add(_sign_out(actor=actor, refresh_token=refresh_token))


@transaction
def replace_session(*, actor: Actor, user: User) -> SignIn:
    """Revoke the actor's session, and return a new one with a new pair of tokens.

    So the previous tokens are invalid, also the access token, which has no row of its own. Joins
    the transaction of the caller, if any, who must add the old session to `revocation` after the
    commit.

    Raises:
        SessionExpired: the session is revoked or expired, or its user is disabled.
    """
    if not sessions.REVOKE_OWN.one(session_id=actor.session_id, user_id=user.id):
        raise SessionExpired
    refresh_token = secrets.token_urlsafe(_TOKEN_BYTES)
    session = _insert_session(actor=actor, user_id=user.id, refresh_token=refresh_token)
    return _sign_in(user, session, refresh_token)


@autocommit
def list_sessions(*, actor: Actor, limit: int, cursor: str | None = None) -> Page[OpenSession]:
    """Return a page of the actor's open sessions, latest sign-in first."""
    return sessions.OPEN_SESSIONS.page(
        sort="-created_at", limit=limit, cursor=cursor, user_id=actor.user_id
    )


def revoke_session(*, actor: Actor, session_id: UUID) -> None:
    """Revoke one of the actor's own sessions.

    Raises:
        NotFound: no open session of the actor has this id.
    """
    _revoke(actor=actor, session_id=session_id)
    revocation.add([session_id])


def _login(*, actor: Actor, client: Client, password: str) -> SignIn:
    passwords.require_capacity(client)
    attempt, credentials = _count_sign_in(actor=actor, email=client.account)
    with throttling.refund_if_unavailable(attempt.counted):
        # Outside any transaction: verification is slow and must not occupy a database connection.
        verification = passwords.verify(
            password, credentials.password_hash if credentials else None, client
        )
    if credentials is None or not verification.matches or not credentials.may_sign_in:
        user_id = credentials.user.id if credentials else None
        security_events.append(security_events.SIGN_IN_FAILED, actor=actor, user_id=user_id)
        raise InvalidCredentials
    if verification.outdated:
        _replace_hash(
            user_id=credentials.user.id,
            verified_hash=credentials.password_hash,
            new_hash=passwords.hash_password(password, client),
        )
    refresh_token = secrets.token_urlsafe(_TOKEN_BYTES)
    session = _start_session(
        actor=actor, credentials=credentials, refresh_token=refresh_token, counted=attempt.failures
    )
    return _sign_in(credentials.user, session, refresh_token)


@autocommit_without_retry
def _count_sign_in(*, actor: Actor, email: str) -> tuple[PasswordAttempt, Credentials | None]:
    attempt = throttling.count_sign_in(actor, email)
    return attempt, users.FIND_CREDENTIALS.one(email=email)


@autocommit
def _replace_hash(*, user_id: UUID, verified_hash: str, new_hash: str) -> None:
    users.REPLACE_PASSWORD_HASH.execute(
        user_id=user_id, verified_hash=verified_hash, new_hash=new_hash
    )


@transaction
def _start_session(
    *,
    actor: Actor,
    credentials: Credentials,
    refresh_token: str,
    counted: list[CountedAttempt],
) -> Session:
    user_id = credentials.user.id
    if not users.FIND_TO_SIGN_IN.one(
        user_id=user_id, password_version=credentials.password_version
    ):
        # The user was disabled, or changed the password, while this password was being verified.
        raise InvalidCredentials
    session = _insert_session(actor=actor, user_id=user_id, refresh_token=refresh_token)
    throttling.refund(counted)
    return session


def _insert_session(*, actor: Actor, user_id: UUID, refresh_token: str) -> Session:
    limits = configuration()
    session = sessions.INSERT.one(
        session_id=uuid7(),
        user_id=user_id,
        user_agent=actor.stored_user_agent,
        address=actor.stored_address,
        network=actor.network,
        seconds=min(limits.refresh_token_seconds, limits.session_seconds),
    )
    assert session is not None  # noqa: S101  # INSERT ... RETURNING returns a row or raises
    _insert_token(session_id=session.id, token=refresh_token)
    security_events.append(
        security_events.SIGNED_IN, actor=actor, user_id=user_id, session_id=session.id
    )
    return session


@transaction
def _rotate_token(*, token_hash: bytes, new_token: str) -> tuple[Session, User] | None:
    """Use a token, insert the new one and extend the session; None if the token is refused."""
    session_id = sessions.USE_TOKEN.one(token_hash=token_hash)
    if session_id is None:
        return None
    session, user = _extend(session_id)
    throttling.count_account_refresh(user.id)
    _insert_token(session_id=session_id, token=new_token)
    return session, user


def _extend(session_id: UUID) -> tuple[Session, User]:
    limits = configuration()
    extended = sessions.EXTEND.one(
        session_id=session_id,
        seconds=limits.refresh_token_seconds,
        max_seconds=limits.session_seconds,
    )
    if extended is None:  # the session is revoked or expired, or its user is disabled
        raise SessionExpired
    return extended


def _insert_token(*, session_id: UUID, token: str) -> None:
    sessions.INSERT_TOKEN.execute(
        token_hash=_hash(token),
        session_id=session_id,
        seconds=configuration().refresh_token_seconds,
    )


@transaction
def _handle_refused_token(*, actor: Actor, token_hash: bytes) -> tuple[bool, list[UUID]]:
    """Return whether two tabs have raced to use the token; if it was reused, revoke its session.

    Also returns the ids of the revoked sessions: one or none.
    """
    used = sessions.FIND_USED_TOKEN.one(token_hash=token_hash)
    if used is None or used.seconds_since_use is None:  # unknown, expired, session revoked
        return False, []
    if _is_same_client(used, actor) and (
        used.seconds_since_use <= configuration().refresh_grace_seconds
    ):
        return True, []
    sessions.REVOKE.one(session_id=used.session_id)
    security_events.append(
        security_events.REFRESH_TOKEN_REUSED,
        actor=actor,
        user_id=used.user_id,
        session_id=used.session_id,
    )
    return False, [used.session_id]


@transaction
def _sign_out(*, actor: Actor, refresh_token: str | None) -> list[UUID]:
    """Revoke the sessions; return their ids. Sorted, so that concurrent calls cannot deadlock."""
    found = {actor.session_id}
    if refresh_token is not None:
        found.add(sessions.FIND_SESSION_OF_TOKEN.one(token_hash=_hash(refresh_token)))
    session_ids = sorted(one for one in found if one is not None)
    for session_id in session_ids:
        owner_id = sessions.REVOKE.one(session_id=session_id)
        if owner_id is not None:
            security_events.append(
                security_events.SIGNED_OUT,
                actor=actor._replace(user_id=owner_id),
                user_id=owner_id,
                session_id=session_id,
            )
    return session_ids


@transaction
def _revoke(*, actor: Actor, session_id: UUID) -> None:
    if not sessions.REVOKE_OWN.one(session_id=session_id, user_id=actor.user_id):
        raise NotFound("session")
    security_events.append(
        security_events.SESSION_REVOKED,
        actor=actor,
        user_id=actor.user_id,
        session_id=session_id,
    )


def _is_same_client(used: UsedToken, actor: Actor) -> bool:
    # The address is not compared: two tabs of one browser may use IPv4 and IPv6.
    return used.user_agent == actor.stored_user_agent


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
    # A client may send any text: with errors="replace", text that is not UTF-8 is an unknown token.
    return hashlib.sha256(token.encode(errors="replace")).digest()
