"""Users: registration, profiles, and their administration."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from database import text_search
from database.transactions import autocommit, autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.account_tokens import EMAIL_VERIFICATION, VALID_SECONDS
from domain.actor import ADMIN, CLIENT, COMMAND_LINE, Actor
from domain.errors import (
    EmailNotVerified,
    EmailTaken,
    Forbidden,
    LastAdministrator,
    NotFound,
    PasswordRejected,
    SessionExpired,
    UserDeleted,
)
from domain.paging import Page
from models import session as sessions
from models import user as users
from models.user import User
from services import mails, passwords, revocation, security_events, throttling
from services.hashing_queue import Client
from services.process import configuration
from services.throttling import CountedAttempt

__all__ = [
    "User",
    "create_admin",
    "disable_user",
    "get_me",
    "get_user",
    "has_administrator",
    "list_users",
    "register",
    "update_me",
    "update_user",
]

# The actor of commands that are run on the server.
_COMMAND_LINE = Actor(
    user_id=None,
    role=None,
    session_id=None,
    request_id=COMMAND_LINE,
    address="",
    user_agent="",
)


def register(*, actor: Actor, email: str, name: str, password: str) -> User:
    """Create an account with the role CLIENT.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: another account has this email.
        TooManyAttempts: from this network, or with this email.
    """
    counted = _count_registration(actor=actor, email=canonical_email(email))
    with throttling.refund_if_unavailable(counted):
        try:
            return _create(actor=actor, email=email, name=name, password=password, role=CLIENT)
        except (EmailTaken, PasswordRejected) as error:
            security_events.append(
                security_events.REGISTRATION_REFUSED, actor=actor, detail=error.code
            )
            raise


def create_admin(*, email: str, name: str, password: str) -> User:
    """Create an account with the role ADMIN, for someone who can run commands on the server.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: another account has this email.
    """
    return _create(actor=_COMMAND_LINE, email=email, name=name, password=password, role=ADMIN)


@autocommit
def has_administrator() -> bool:
    """Return whether the shop has an active administrator."""
    return users.FIND_ANY_ADMINISTRATOR.one() is not None


@autocommit
def get_me(*, actor: Actor) -> User:
    """Return the actor's own account.

    Raises:
        SessionExpired: the account was deleted or disabled after the access token was issued.
    """
    user = users.FIND.one(user_id=actor.user_id)
    if user is None or not user.active:
        raise SessionExpired
    return user


@autocommit
def update_me(*, actor: Actor, name: str) -> User:
    """Change the actor's own name.

    Raises:
        SessionExpired: the account was deleted or disabled after the access token was issued.
    """
    user = users.UPDATE_NAME.one(user_id=actor.user_id, name=name)
    if user is None:
        raise SessionExpired
    return user


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
    """Return a page of users.

    Every word of `q` must be a word, or the beginning of a word, in the email or the name.
    """
    words = None if q is None else text_search.all_words(q)
    if q is not None and words is None:
        return Page([], None)
    return users.USERS.page(
        sort=sort, limit=limit, cursor=cursor, words=words, role=role, active=active
    )


@autocommit
def get_user(*, user_id: UUID) -> User:
    """Return one user.

    Raises:
        NotFound: no user has this id.
    """
    return _require(users.FIND.one(user_id=user_id))


def require_verified_email(actor: Actor) -> None:
    """Check that the actor's address is verified, if the shop requires that of orders.

    Raises:
        EmailNotVerified: it is not.
        SessionExpired: the account was deleted or disabled after the access token was issued.
    """
    if configuration().verified_email_required and not get_me(actor=actor).email_verified:
        raise EmailNotVerified


def update_user(
    *, actor: Actor, user_id: UUID, role: str | None = None, active: bool | None = None
) -> User:
    """Change a user's role, or disable or enable the user. None leaves a value unchanged.

    A change revokes all sessions of the user.

    Raises:
        Forbidden: the actor is no longer an active administrator.
        NotFound: no user has this id.
        LastAdministrator: the shop would be left without an active administrator.
        UserDeleted: the user was deleted.
    """
    user, revoked = _update(actor=actor, user_id=user_id, role=role, active=active)
    revocation.add(revoked)
    return user


def disable_user(*, user_id: UUID) -> None:
    """Disable a user and revoke all sessions, for someone who can run commands on the server.

    The last administrator can be disabled too: `create_admin` creates another one.

    Raises:
        NotFound: no user has this id.
    """
    revocation.add(_disable(user_id=user_id))


@transaction
def record_registration(*, actor: Actor, user: User) -> None:
    """Log a new user, and mail a link to verify the address. Joins the caller's transaction."""
    security_events.append(security_events.REGISTERED, actor=actor, user_id=user.id)
    if not user.email_verified:
        mails.enqueue(
            mail_kinds.EMAIL_VERIFICATION,
            subject_id=user.id,
            user_id=user.id,
            expiry_seconds=VALID_SECONDS[EMAIL_VERIFICATION],
        )


def canonical_email(email: str) -> str:
    """Return an email as it is stored and compared: in lower case."""
    return email.lower()


@autocommit_without_retry
def _count_registration(*, actor: Actor, email: str) -> list[CountedAttempt]:
    return throttling.count_registration(actor, email)


@transaction
def _update(
    *, actor: Actor, user_id: UUID, role: str | None, active: bool | None
) -> tuple[User, list[UUID]]:
    """Update the user; return the user and the ids of the sessions that were revoked."""
    administrators = users.FIND_ADMINISTRATORS_TO_CHANGE.all()
    if actor.user_id not in administrators:
        # The actor is no longer an administrator, and must not use the outdated role in the access
        # token to become one again.
        raise Forbidden
    before = _require(users.FIND_TO_CHANGE.one(user_id=user_id))
    after = before._replace(
        role=before.role if role is None else role,
        active=before.active if active is None else active,
    )
    if before.deleted_at is not None:
        raise UserDeleted
    if after == before:
        return before, []
    if administrators == [user_id] and (after.role, after.active) != (ADMIN, True):
        raise LastAdministrator
    users.UPDATE.execute(user_id=user_id, role=after.role, active=after.active)
    if after.role != before.role:
        security_events.append(
            security_events.ROLE_CHANGED,
            actor=actor,
            user_id=user_id,
            roles=(before.role, after.role),
        )
    if after.active != before.active:
        event_type = security_events.USER_ENABLED if after.active else security_events.USER_DISABLED
        security_events.append(event_type, actor=actor, user_id=user_id)
    revoked = sessions.REVOKE_OTHERS.all(user_id=user_id, except_session_id=None)
    security_events.append_revoked_sessions(actor, user_id, revoked)
    return after, revoked


@transaction
def _disable(*, user_id: UUID) -> list[UUID]:
    """Disable the user; return the ids of the sessions that were revoked."""
    before = _require(users.FIND_TO_CHANGE.one(user_id=user_id))
    if not before.active:
        return []
    users.UPDATE.execute(user_id=user_id, role=before.role, active=False)
    security_events.append(security_events.USER_DISABLED, actor=_COMMAND_LINE, user_id=user_id)
    revoked = sessions.REVOKE_OTHERS.all(user_id=user_id, except_session_id=None)
    security_events.append_revoked_sessions(_COMMAND_LINE, user_id, revoked)
    return revoked


def _create(*, actor: Actor, email: str, name: str, password: str, role: str) -> User:
    email = canonical_email(email)
    passwords.require_strong(password, email=email, name=name)
    # Hashed before the transaction begins: a slow hash must not occupy a database connection.
    return _insert(
        actor=actor,
        user_id=uuid7(),
        email=email,
        name=name,
        password_hash=passwords.hash_password(password, Client(actor.network, email)),
        role=role,
    )


@transaction
def _insert(
    *, actor: Actor, user_id: UUID, email: str, name: str, password_hash: str, role: str
) -> User:
    user = users.INSERT.one(
        user_id=user_id,
        email=email,
        name=name,
        password_hash=password_hash,
        role=role,
        # An administrator's email was entered on the command line, so it needs no verification.
        email_verified=role == ADMIN,
        verify_before_sign_in=False,
    )
    assert user is not None  # noqa: S101  # INSERT ... RETURNING returns a row or raises
    record_registration(actor=actor, user=user)
    return user


def _require(user: User | None) -> User:
    if user is None:
        raise NotFound("user")
    return user
