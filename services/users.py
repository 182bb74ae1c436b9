"""People and their accounts."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from database import text_search
from database.transactions import autocommit, transaction
from domain.actor import ADMIN, CLIENT, Actor
from domain.errors import (
    CurrentPasswordWrong,
    Forbidden,
    LastAdministrator,
    NotFound,
    SessionExpired,
)
from domain.paging import Page
from models import session as sessions
from models import user as users
from models.user import Credentials, User
from services import passwords, revocation, security_events, throttling
from services.throttling import Pass

__all__ = [
    "User",
    "change_password",
    "create_admin",
    "get_me",
    "get_user",
    "list_users",
    "register",
    "update_me",
    "update_user",
]

# Whoever runs commands on the server.
_SYSTEM = Actor(None, None, None, request_id="command-line", address="", user_agent="")


def register(*, actor: Actor, email: str, name: str, password: str) -> User:
    """Make an account for somebody new, always as a client.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: somebody has registered with this email.
        TooManyAttempts: too many of this network, or with this email.
    """
    passes = _admitted_to_register(actor=actor, email=canonical_email(email))
    with throttling.judging(passes):
        return _add(actor=actor, email=email, name=name, password=password, role=CLIENT)


def create_admin(*, email: str, name: str, password: str) -> User:
    """Make an account for an administrator: for those who can run commands on the server.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: somebody has registered with this email.
    """
    return _add(actor=_SYSTEM, email=email, name=name, password=password, role=ADMIN)


@autocommit
def get_me(*, actor: Actor) -> User:
    """Return the account of the one who asks.

    Raises:
        SessionExpired: the account is gone or disabled, though the access token is not.
    """
    user = users.FIND.one(user_id=actor.user_id)
    if user is None or not user.active:
        raise SessionExpired
    return user


@autocommit
def update_me(*, actor: Actor, name: str) -> User:
    """Change what the one who asks is called.

    Raises:
        SessionExpired: the account is gone or disabled, though the access token is not.
    """
    user = users.RENAME.one(user_id=actor.user_id, name=name)
    if user is None:
        raise SessionExpired
    return user


def change_password(*, actor: Actor, current_password: str, new_password: str) -> None:
    """Change the password of the one who asks, and end their other sessions.

    Raises:
        CurrentPasswordWrong: that is not the password so far.
        PasswordRejected: the new one is easily guessed.
        SessionExpired: the account is gone or disabled, though the access token is not.
        TooManyAttempts: too many have failed, of this network or at this account.
    """
    passes, known = _admitted_to_change_password(actor=actor)
    with throttling.judging(passes):
        right = passwords.verified(current_password, known.password_hash).right
        if right:
            passwords.check(new_password, email=known.user.email, name=known.user.name)
            following = passwords.hashed(new_password)
    if not right:
        security_events.record(
            security_events.PASSWORD_CHANGE_FAILED,
            actor=actor,
            user_id=known.user.id,
            session_id=actor.session_id,
        )
        raise CurrentPasswordWrong
    revocation.add(_replace_password(actor=actor, known=known, following=following))
    throttling.give_back(passes)


@autocommit
def list_users(
    *,
    limit: int,
    cursor: str | None = None,
    sort: str = "-created_at",
    q: str | None = None,
    role: str | None = None,
    active: bool | None = None,
) -> Page[User]:
    """Return a page of those who have registered.

    `q` are words that shall all be, or begin a word, in the email or the name.
    """
    words = None if q is None else text_search.all_words(q)
    if q is not None and words is None:
        return Page([], None)
    return users.PEOPLE.page(
        sort=sort, limit=limit, cursor=cursor, words=words, role=role, active=active
    )


@autocommit
def get_user(*, user_id: UUID) -> User:
    """Return one account.

    Raises:
        NotFound: there is none.
    """
    return _found(users.FIND.one(user_id=user_id))


def update_user(
    *, actor: Actor, user_id: UUID, role: str | None = None, active: bool | None = None
) -> User:
    """Promote, demote, disable or enable somebody; what is None stays as it is.

    Whoever is given another role or disabled is signed out everywhere.

    Raises:
        Forbidden: the one who asks is no active administrator any more.
        NotFound: there is no such account.
        LastAdministrator: the shop would be left without an active administrator.
    """
    user, ended = _update(actor=actor, user_id=user_id, role=role, active=active)
    revocation.add(ended)
    return user


def canonical_email(email: str) -> str:
    """Return an email as it is kept and compared: in lower case."""
    return email.lower()


@autocommit
def _admitted_to_register(*, actor: Actor, email: str) -> list[Pass]:
    return throttling.to_register(actor, email)


@autocommit
def _admitted_to_change_password(*, actor: Actor) -> tuple[list[Pass], Credentials]:
    passes = throttling.to_change_password(actor)
    known = users.FIND_CREDENTIALS_BY_ID.one(user_id=actor.user_id)
    if known is None or not known.user.active:
        raise SessionExpired
    return passes, known


@transaction
def _replace_password(*, actor: Actor, known: Credentials, following: str) -> list[UUID]:
    user_id = known.user.id
    changed = users.CHANGE_PASSWORD.execute(
        user_id=user_id, password_version=known.password_version, following=following
    )
    if not changed:  # it was changed while this one was being verified
        raise CurrentPasswordWrong
    ended = sessions.REVOKE_OTHERS.all(user_id=user_id, kept=actor.session_id)
    security_events.record(
        security_events.PASSWORD_CHANGED,
        actor=actor,
        user_id=user_id,
        session_id=actor.session_id,
    )
    return _recorded(actor, user_id, ended)


@transaction
def _update(
    *, actor: Actor, user_id: UUID, role: str | None, active: bool | None
) -> tuple[User, list[UUID]]:
    administrators = users.FIND_ADMINISTRATORS_TO_CHANGE.all()
    if actor.user_id not in administrators:
        # The token says otherwise for another moment: nobody gets a role back by that.
        raise Forbidden
    before = _found(users.FIND_TO_CHANGE.one(user_id=user_id))
    after = before._replace(
        role=before.role if role is None else role,
        active=before.active if active is None else active,
    )
    if after == before:
        return before, []
    if administrators == [user_id] and (after.role, after.active) != (ADMIN, True):
        raise LastAdministrator
    users.CHANGE.execute(user_id=user_id, role=after.role, active=after.active)
    if after.role != before.role:
        security_events.record(
            security_events.ROLE_CHANGED,
            actor=actor,
            user_id=user_id,
            roles=(before.role, after.role),
        )
    if after.active != before.active:
        kind = security_events.USER_ENABLED if after.active else security_events.USER_DISABLED
        security_events.record(kind, actor=actor, user_id=user_id)
    ended = sessions.REVOKE_OTHERS.all(user_id=user_id, kept=None)
    return after, _recorded(actor, user_id, ended)


def _recorded(actor: Actor, user_id: UUID, ended: list[UUID]) -> list[UUID]:
    for session_id in ended:
        security_events.record(
            security_events.SESSION_REVOKED, actor=actor, user_id=user_id, session_id=session_id
        )
    return ended


def _add(*, actor: Actor, email: str, name: str, password: str, role: str) -> User:
    email = canonical_email(email)
    passwords.check(password, email=email, name=name)
    # Hashed before a connection is checked out: nobody waits for one meanwhile.
    return _keep(
        actor=actor,
        user_id=uuid7(),
        email=email,
        name=name,
        password_hash=passwords.hashed(password),
        role=role,
    )


@transaction
def _keep(
    *, actor: Actor, user_id: UUID, email: str, name: str, password_hash: str, role: str
) -> User:
    user = users.ADD.one(
        user_id=user_id, email=email, name=name, password_hash=password_hash, role=role
    )
    assert user is not None  # noqa: S101  # INSERT ... RETURNING gives a row or raises
    security_events.record(security_events.REGISTERED, actor=actor, user_id=user_id)
    return user


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("user")
    return user
