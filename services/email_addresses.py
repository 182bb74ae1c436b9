"""Verifying the address of a user, and changing it, by mails to the address."""

from __future__ import annotations

from uuid_utils.compat import uuid7

from database.transactions import autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.account_tokens import EMAIL_CHANGE, EMAIL_VERIFICATION, KINDS, VALID_SECONDS
from domain.actor import Actor
from domain.errors import CurrentPasswordWrong, SessionExpired
from models import user as users
from models.user import Credentials, User
from services import account_tokens, mails, passwords, security_events, throttling
from services.account_tokens import AccountToken
from services.hashing_queue import Client
from services.mails import MailRequest
from services.throttling import PasswordAttempt
from services.users import canonical_email, get_me


def request_email_verification(*, actor: Actor) -> MailRequest:
    """Request a mail with a link that verifies the actor's address.

    The worker sends nothing if the address is verified.

    Raises:
        SessionExpired: the account was deleted or disabled after the access token was issued.
        TooManyAttempts: from this network, or by this user.
    """
    user = _request_verification(actor=actor)
    return MailRequest(user.email, VALID_SECONDS[EMAIL_VERIFICATION])


def confirm_email_verification(*, actor: Actor, token: str) -> None:
    """Verify the address to which the token was sent; a token for a new address changes it.

    Raises:
        TokenInvalid: the token is not valid, or its user is disabled.
        EmailTaken: another account has the new address.
        TooManyAttempts: from this network.
    """
    counted = throttling.count_mail_token(actor)
    with throttling.refund_if_unavailable(counted):
        _confirm(actor=actor, token=token)
    throttling.refund(counted)


def change_email(*, actor: Actor, email: str, current_password: str) -> MailRequest:
    """Request a mail to a new address; the old one stays valid until the new one is confirmed.

    Does not check whether another account has the new address: the response must not reveal it.

    Raises:
        CurrentPasswordWrong: `current_password` does not match.
        SessionExpired: the account was deleted or disabled after the access token was issued.
        TooManyAttempts: from this network, by this user, or for the new address.
    """
    email = canonical_email(email)
    attempt, credentials = _count_change(actor=actor, email=email)
    user = credentials.user
    with throttling.refund_if_unavailable(attempt.counted):
        client = Client(actor.network, user.email)
        matches = passwords.verify(current_password, credentials.password_hash, client).matches
    if not matches:
        security_events.append(
            security_events.EMAIL_CHANGE_FAILED,
            actor=actor,
            user_id=user.id,
            session_id=actor.session_id,
        )
        raise CurrentPasswordWrong
    _request_change(actor=actor, credentials=credentials, email=email)
    throttling.refund(attempt.failures)
    return MailRequest(email, VALID_SECONDS[EMAIL_CHANGE])


@autocommit_without_retry
def _request_verification(*, actor: Actor) -> User:
    user = get_me(actor=actor)
    throttling.count_account_mail(actor, str(user.id))
    mails.enqueue(
        mail_kinds.EMAIL_VERIFICATION,
        subject_id=uuid7(),
        user_id=user.id,
        expiry_seconds=VALID_SECONDS[EMAIL_VERIFICATION],
    )
    return user


@transaction
def _confirm(*, actor: Actor, token: str) -> None:
    found = account_tokens.use(token, [EMAIL_VERIFICATION, EMAIL_CHANGE])
    user_id = found.user.id
    users.SET_VERIFIED_EMAIL.execute(user_id=user_id, email=found.email)
    if found.kind == EMAIL_CHANGE:
        _record_change(actor=actor, found=found)
    else:
        security_events.append(security_events.EMAIL_VERIFIED, actor=actor, user_id=user_id)


def _record_change(*, actor: Actor, found: AccountToken) -> None:
    user = found.user
    account_tokens.forget(user.id, KINDS)
    security_events.append(security_events.EMAIL_CHANGED, actor=actor, user_id=user.id)
    mails.enqueue(
        mail_kinds.EMAIL_CHANGED, subject_id=uuid7(), user_id=user.id, recipient=user.email
    )


@autocommit_without_retry
def _count_change(*, actor: Actor, email: str) -> tuple[PasswordAttempt, Credentials]:
    attempt = throttling.count_email_change(actor, email)
    credentials = users.FIND_CREDENTIALS_BY_ID.one(user_id=actor.user_id)
    if credentials is None or not credentials.user.active:
        raise SessionExpired
    return attempt, credentials


@transaction
def _request_change(*, actor: Actor, credentials: Credentials, email: str) -> None:
    user = credentials.user
    mails.enqueue(
        mail_kinds.EMAIL_CHANGE,
        subject_id=uuid7(),
        user_id=user.id,
        # A changed password cancels the change, also while the mail waits in the outbox.
        details={"email": email, "password_version": credentials.password_version},
        expiry_seconds=VALID_SECONDS[EMAIL_CHANGE],
    )
    mails.enqueue(
        mail_kinds.EMAIL_CHANGE_REQUESTED,
        subject_id=uuid7(),
        user_id=user.id,
        recipient=user.email,
    )
    security_events.append(
        security_events.EMAIL_CHANGE_REQUESTED,
        actor=actor,
        user_id=user.id,
        session_id=actor.session_id,
    )
