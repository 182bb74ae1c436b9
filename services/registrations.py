"""Registration: with a response that says what has happened, or by a mail that says it."""

from __future__ import annotations

from uuid_utils.compat import uuid7

from database.transactions import autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.account_tokens import EMAIL_VERIFICATION, VALID_SECONDS
from domain.actor import CLIENT, Actor
from domain.errors import EmailTaken, PasswordRejected
from models import user as users
from models.user import User
from services import mails, passwords, security_events, throttling
from services import users as accounts
from services.hashing_queue import Client
from services.mails import MailRequest
from services.process import configuration
from services.throttling import CountedAttempt
from services.users import canonical_email


def register(*, actor: Actor, email: str, name: str, password: str) -> User | MailRequest:
    """Create an account with the role CLIENT.

    If the shop requires verified addresses, return the request of a mail, the same for every
    address: a new user gets a link to verify it, and a registered user a note.

    Raises:
        PasswordRejected: the password is easily guessed.
        EmailTaken: another account has this email; only if the shop requires no verified addresses.
        TooManyAttempts: from this network, or with this email.
    """
    if not configuration().verified_email_required:
        return accounts.register(actor=actor, email=email, name=name, password=password)
    return _register_by_mail(
        actor=actor, email=canonical_email(email), name=name, password=password
    )


def _register_by_mail(*, actor: Actor, email: str, name: str, password: str) -> MailRequest:
    counted = _count(actor=actor, email=email)
    with throttling.refund_if_unavailable(counted):
        try:
            passwords.require_strong(password, email=email, name=name)
        except PasswordRejected as error:
            security_events.append(
                security_events.REGISTRATION_REFUSED, actor=actor, detail=error.code
            )
            raise
        # Also for a registered address: it takes most of the time.
        password_hash = passwords.hash_password(password, Client(actor.network, email))
        _create_or_notify(actor=actor, email=email, name=name, password_hash=password_hash)
    return MailRequest(email, VALID_SECONDS[EMAIL_VERIFICATION])


@autocommit_without_retry
def _count(*, actor: Actor, email: str) -> list[CountedAttempt]:
    counted = throttling.count_registration(actor, email)
    return counted + throttling.count_account_mail(actor, email)


@transaction
def _create_or_notify(*, actor: Actor, email: str, name: str, password_hash: str) -> None:
    """Create the account, or write to the user who has the address: the same number of statements.

    The account cannot be used to sign in before the address is verified.
    """
    user = users.INSERT_UNLESS_TAKEN.one(
        user_id=uuid7(),
        email=email,
        name=name,
        password_hash=password_hash,
        role=CLIENT,
        email_verified=False,
        verify_before_sign_in=True,
    )
    if user is None:
        security_events.append(
            security_events.REGISTRATION_REFUSED, actor=actor, detail=EmailTaken.code
        )
        mails.enqueue(mail_kinds.ALREADY_REGISTERED, subject_id=uuid7(), details={"email": email})
    else:
        accounts.record_registration(actor=actor, user=user)
