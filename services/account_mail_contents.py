"""What the mails about accounts say.

No mail repeats a name or another text that a user has chosen: somebody could register another
person's address, and so send that person a text of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from database.transactions import transaction
from domain import account_tokens as token_kinds
from domain import mail as kinds
from integrations.mail.rendering import Verbatim
from models import user as users
from models.mail import Mail
from models.user import User
from services import account_tokens


class MailContent(NamedTuple):
    """The recipient of a mail, and the values for its template."""

    recipient: str
    values: Mapping[str, Any]


def _password_reset(mail: Mail) -> MailContent | None:
    credentials = users.FIND_CREDENTIALS.one(email=mail.details["email"])
    if credentials is None or not credentials.user.active:
        return None
    return _with_token(mail, token_kinds.PASSWORD_RESET, credentials.user, credentials.user.email)


def _email_verification(mail: Mail) -> MailContent | None:
    user = users.FIND.one(user_id=mail.user_id)
    if user is None or not user.active or user.email_verified:
        return None
    return _with_token(mail, token_kinds.EMAIL_VERIFICATION, user, user.email)


@transaction
def _email_change(mail: Mail) -> MailContent | None:
    # Locked, so that the password is not changed between the comparison and the new token.
    users.FIND_TO_CHANGE.one(user_id=mail.user_id)
    credentials = users.FIND_CREDENTIALS_BY_ID.one(user_id=mail.user_id)
    if (
        credentials is None
        or not credentials.user.active
        or credentials.password_version != mail.details["password_version"]
    ):
        return None
    email = mail.details["email"]
    return _with_token(mail, token_kinds.EMAIL_CHANGE, credentials.user, email)


def _already_registered(mail: Mail) -> MailContent | None:
    credentials = users.FIND_CREDENTIALS.one(email=mail.details["email"])
    if credentials is None or not credentials.user.active:
        return None
    return MailContent(credentials.user.email, {})


def _notice(mail: Mail) -> MailContent | None:
    user = users.FIND.one(user_id=mail.user_id)
    if user is None or not user.active:
        return None
    return MailContent(mail.recipient or user.email, {})


def _account_deleted(mail: Mail) -> MailContent | None:
    return None if mail.recipient is None else MailContent(mail.recipient, {})


def _with_token(mail: Mail, kind: str, user: User, email: str) -> MailContent | None:
    token = account_tokens.issue(kind, user_id=user.id, email=email, requested_at=mail.created_at)
    return None if token is None else MailContent(email, {"token": Verbatim(token)})


CONTENT_OF_KIND: Mapping[str, Callable[[Mail], MailContent | None]] = {
    kinds.PASSWORD_RESET: _password_reset,
    kinds.PASSWORD_CHANGED: _notice,
    kinds.EMAIL_VERIFICATION: _email_verification,
    kinds.EMAIL_CHANGE: _email_change,
    kinds.EMAIL_CHANGE_REQUESTED: _notice,
    kinds.EMAIL_CHANGED: _notice,
    kinds.ALREADY_REGISTERED: _already_registered,
    kinds.ACCOUNT_DELETED: _account_deleted,
}
