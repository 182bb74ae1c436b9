"""People and their accounts."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from domain.actor import ADMIN, CLIENT, Actor
from domain.errors import SessionExpired
from models import user as users
from models.database import reading
from models.user import User
from services import passwords

__all__ = ["User", "create_admin", "get_me", "register"]


def register(*, actor: Actor, email: str, name: str, password: str) -> User:
    """Make an account for somebody new, always as a client.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: somebody has registered with this email.
    """
    del actor  # whoever is signed in may register somebody else
    return _add(email=email, name=name, password=password, role=CLIENT)


def create_admin(*, email: str, name: str, password: str) -> User:
    """Make an account for an administrator: for those who can run commands on the server.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: somebody has registered with this email.
    """
    return _add(email=email, name=name, password=password, role=ADMIN)


@reading
def get_me(*, actor: Actor) -> User:
    """Return the account of the one who asks.

    Raises:
        SessionExpired: the account is gone or disabled, though the access token is not.
    """
    user = users.FIND.one(user_id=actor.user_id)
    if user is None or not user.active:
        raise SessionExpired
    return user


def canonical_email(email: str) -> str:
    """Return an email as it is kept and compared: in lower case."""
    return email.lower()


def _add(*, email: str, name: str, password: str, role: str) -> User:
    email = canonical_email(email)
    passwords.check(password, email=email, name=name)
    # Hashed before a connection is checked out: nobody waits for one meanwhile.
    return _keep(
        user_id=uuid7(),
        email=email,
        name=name,
        password_hash=passwords.hashed(password),
        role=role,
    )


@reading
def _keep(*, user_id: UUID, email: str, name: str, password_hash: str, role: str) -> User:
    user = users.ADD.one(
        user_id=user_id, email=email, name=name, password_hash=password_hash, role=role
    )
    assert user is not None  # noqa: S101  # INSERT ... RETURNING gives a row or raises
    return user
