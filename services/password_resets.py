"""Resetting a forgotten password by a mail to the user's address."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.account_tokens import KINDS, PASSWORD_RESET, VALID_SECONDS
from domain.actor import Actor
from models import session as sessions
from models import user as users
from services import account_tokens, mails, passwords, revocation, security_events, throttling
from services.hashing_queue import Client
from services.mails import MailRequest
from services.users import canonical_email


def request_password_reset(*, actor: Actor, email: str) -> MailRequest:
    """Request a mail with a link to set a new password.

    Takes the same time for every address: the worker finds out whether it is registered, and sends
    nothing if it is not, or if the user is disabled.

    Raises:
        TooManyAttempts: from this network, or for this address.
    """
    email = canonical_email(email)
    _request_mail(actor=actor, email=email)
    return MailRequest(email, VALID_SECONDS[PASSWORD_RESET])


def confirm_password_reset(*, actor: Actor, token: str, new_password: str) -> None:
    """Set a new password, revoke all sessions of the user, and verify the address.

    Raises:
        TokenInvalid: the token is not valid, or its user is disabled.
        PasswordRejected: the new password is easily guessed; the token stays valid.
        TooManyAttempts: from this network.
    """
    counted = throttling.count_mail_token(actor)
    with throttling.refund_if_unavailable(counted):
        user = account_tokens.find(token, [PASSWORD_RESET]).user
        passwords.require_strong(new_password, email=user.email, name=user.name)
        new_hash = passwords.hash_password(new_password, Client(actor.network, user.email))
        revoked = _reset_password(actor=actor, token=token, new_hash=new_hash)
    revocation.add(revoked)
    throttling.refund(counted)


@autocommit_without_retry
def _request_mail(*, actor: Actor, email: str) -> None:
    throttling.count_account_mail(actor, email)
    mails.enqueue(
        mail_kinds.PASSWORD_RESET,
        subject_id=uuid7(),
        # Not as the recipient: details are erased when the mail is done.
        details={"email": email},
        expiry_seconds=VALID_SECONDS[PASSWORD_RESET],
    )


@transaction
def _reset_password(*, actor: Actor, token: str, new_hash: str) -> list[UUID]:
    """Use the token and set the password; return the ids of the sessions that were revoked."""
    user_id = account_tokens.use(token, [PASSWORD_RESET]).user.id
    # Also a change of the address, which somebody with the old password may have requested.
    account_tokens.forget(user_id, KINDS)
    users.RESET_PASSWORD.execute(user_id=user_id, new_hash=new_hash)
    security_events.append(security_events.PASSWORD_RESET, actor=actor, user_id=user_id)
    revoked = sessions.REVOKE_OTHERS.all(user_id=user_id, except_session_id=None)
    security_events.append_revoked_sessions(actor, user_id, revoked)
    mails.enqueue(mail_kinds.PASSWORD_CHANGED, subject_id=uuid7(), user_id=user_id)
    return revoked
