"""Changing a password. All sessions of the user end; a new one replaces that of the request."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.account_tokens import EMAIL_CHANGE, PASSWORD_RESET
from domain.actor import Actor
from domain.errors import CurrentPasswordWrong, SessionExpired
from models import session as session_table
from models import user as users
from models.user import Credentials
from services import (
    account_tokens,
    mails,
    passwords,
    revocation,
    security_events,
    sessions,
    throttling,
)
from services.hashing_queue import Client
from services.sessions import SignIn
from services.throttling import CountedAttempt


def change_password(*, actor: Actor, current_password: str, new_password: str) -> SignIn:
    """Change the actor's own password, revoke all of the actor's sessions, and start a new one.

    So tokens that were copied before the change are invalid, also the access token of this request.

    Raises:
        CurrentPasswordWrong: `current_password` does not match.
        PasswordRejected: the new password is easily guessed.
        SessionExpired: after the access token was issued, the account was deleted or disabled, or
            the session was revoked.
        TooManyAttempts: from this network, or by this user.
    """
    counted, credentials = _count_password_change(actor=actor)
    user = credentials.user
    client = Client(actor.network, user.email)
    with throttling.refund_if_unavailable(counted):
        matches = passwords.verify(current_password, credentials.password_hash, client).matches
        if matches:
            passwords.require_strong(new_password, email=user.email, name=user.name)
            new_hash = passwords.hash_password(new_password, client)
    if not matches:
        security_events.append(
            security_events.PASSWORD_CHANGE_FAILED,
            actor=actor,
            user_id=user.id,
            session_id=actor.session_id,
        )
        raise CurrentPasswordWrong
    sign_in, revoked = _replace_password(actor=actor, credentials=credentials, new_hash=new_hash)
    revocation.add(revoked)
    throttling.refund(counted)
    return sign_in


@autocommit_without_retry
def _count_password_change(*, actor: Actor) -> tuple[list[CountedAttempt], Credentials]:
    counted = throttling.count_password_change(actor)
    credentials = users.FIND_CREDENTIALS_BY_ID.one(user_id=actor.user_id)
    if credentials is None or not credentials.user.active:
        raise SessionExpired
    return counted, credentials


@transaction
def _replace_password(
    *, actor: Actor, credentials: Credentials, new_hash: str
) -> tuple[SignIn, list[UUID]]:
    """Replace the hash and the actor's session; return the ids of the revoked sessions."""
    assert actor.session_id is not None  # noqa: S101  # the operation requires a session
    user_id = credentials.user.id
    changed = users.CHANGE_PASSWORD.execute(
        user_id=user_id, password_version=credentials.password_version, new_hash=new_hash
    )
    if not changed:  # the password was changed while the current one was being verified
        raise CurrentPasswordWrong
    # Somebody with the old password may have requested these.
    account_tokens.forget(user_id, [PASSWORD_RESET, EMAIL_CHANGE])
    others = session_table.REVOKE_OTHERS.all(user_id=user_id, except_session_id=actor.session_id)
    security_events.append(
        security_events.PASSWORD_CHANGED,
        actor=actor,
        user_id=user_id,
        session_id=actor.session_id,
    )
    security_events.append_revoked_sessions(actor, user_id, others)
    mails.enqueue(mail_kinds.PASSWORD_CHANGED, subject_id=uuid7(), user_id=user_id)
    sign_in = sessions.replace_session(actor=actor, user=credentials.user)
    return sign_in, [*others, actor.session_id]
