"""Puts mails into the outbox; `mail_delivery` sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from database.transactions import transaction
from models import mail as mails
from services.process import configuration


class MailRequest(NamedTuple):
    """A mail that will be sent to an address, and for how long its link is valid."""

    email: str
    valid_seconds: int


@transaction
def enqueue(
    kind: str,
    *,
    subject_id: UUID,
    user_id: UUID | None = None,
    recipient: str | None = None,
    details: Mapping[str, Any] | None = None,
    expiry_seconds: int | None = None,
) -> None:
    """Put a mail into the outbox, in the transaction of the caller.

    Does nothing if the shop does not send mails of this kind, or has such a mail about this subject
    already. `subject_id` is the id of what the mail is about. Without a `recipient`, it is sent to
    the email that the user has then. `details` are what the template needs and no table has. After
    `expiry_seconds`, the mail is of no use and is not sent.
    """
    if kind in configuration().mail_kinds:
        mails.INSERT.execute(
            kind=kind,
            subject_id=subject_id,
            user_id=user_id,
            recipient=recipient,
            details=None if details is None else orjson.dumps(details).decode(),
            expiry_seconds=expiry_seconds,
        )
