"""Sends the mails in the outbox, one at a time.

A mail is claimed, sent and marked as done. If this process is killed between the last two steps,
the mail is sent again, with the same `Message-ID`: SMTP cannot promise that a mail arrives exactly
once. No mail is lost, and only the one that was being sent can arrive twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage

import structlog

from database.transactions import autocommit, transaction
from domain.errors import Unavailable
from domain.mail import ACCOUNT_DELETED, GIVE_UP_AFTER_SECONDS, pause_seconds
from integrations.mail.rendering import TemplateInvalid, Verbatim, message
from integrations.mail.sender import MailDeferred, MailRefused, MailSession, MailUnavailable
from models import mail as mails
from models.mail import Mail
from services import process
from services.mail_contents import MailContent, content_of
from services.mail_setup import MailSetup

BATCH_MAILS = 100
# Longer than the slowest sending: each of about 12 responses of a mail server has 20 seconds.
LEASE_SECONDS = 600
_PURGE_ROWS = 500
# Afterwards a mail that is done is of no use to anybody who looks for the reason of a failure.
RETENTION_DAYS = 30

_SENT, _REFUSED, _GIVEN_UP = "SENT", "REFUSED", "GIVEN_UP"
_EXPIRED, _NOT_NEEDED = "EXPIRED", "NOT_NEEDED"


def send_due() -> int:
    """Send mails that are due, at most `BATCH_MAILS`; return how many are done.

    Stops if the mail server cannot be reached: the other mails wait for the next call.

    Raises:
        Unavailable: the database is busy or cannot be reached.
    """
    setup = process.state().mail
    if setup is None:
        return 0
    with setup.sender.connect() as session:
        for done in range(BATCH_MAILS):
            mail = _claim()
            if mail is None:
                return done
            try:
                _send(setup, session, mail)
            except MailUnavailable as error:
                _postpone(mail, str(error))
                return done
            except Unavailable:
                raise
            except Exception as error:  # any error: the other mails must still be sent
                _log().error("mail_failed", **_logged(mail), exc_info=error)
                _postpone(mail, type(error).__name__)
    return BATCH_MAILS


@transaction
def purge() -> int:
    """Delete mails that have been done for `RETENTION_DAYS`, in batches; return how many."""
    return mails.PURGE.execute(days=RETENTION_DAYS, limit=_PURGE_ROWS)


@autocommit
def _claim() -> Mail | None:
    return mails.CLAIM_DUE.one(lease_seconds=LEASE_SECONDS)


def _send(setup: MailSetup, session: MailSession, mail: Mail) -> None:
    """Send a mail, and record the outcome.

    Raises:
        MailUnavailable: no mail can be sent now.
    """
    if mail.is_expired:
        _finish(mail, _EXPIRED)
        return
    content = content_of(mail)
    if content is None:
        _finish(mail, _NOT_NEEDED)
        return
    try:
        if mail.kind == ACCOUNT_DELETED:
            setup.sender.erase(content.recipient)
        session.send(_message(setup, mail, content))
    except (MailDeferred, TemplateInvalid) as error:
        _postpone(mail, str(error))
    except (MailRefused, ValueError) as error:
        _finish(mail, _REFUSED, str(error))
    else:
        _finish(mail, _SENT)


def _message(setup: MailSetup, mail: Mail, content: MailContent) -> EmailMessage:
    values = {
        **content.values,
        "shop_name": setup.shop_name,
        "shop_url": Verbatim(setup.shop_url),
    }
    return message(
        setup.templates.render(mail.kind, values),
        sender=setup.address,
        recipient=content.recipient,
        message_id=message_id(mail.kind, mail.subject_id.hex, setup.address.domain),
        date=datetime.now(UTC),
    )


def message_id(kind: str, subject: str, domain: str) -> str:
    """Return the `Message-ID` of a mail, the same at each attempt (RFC 5322, section 3.6.4)."""
    return f"<{kind.lower()}.{subject}@{domain}>"


def _postpone(mail: Mail, failure: str) -> None:
    """Try a mail again later, or give up if it has waited for too long."""
    if mail.age_seconds >= GIVE_UP_AFTER_SECONDS:
        _finish(mail, _GIVEN_UP, failure)
        return
    seconds = pause_seconds(mail.attempt)
    _log().warning("mail_postponed", **_logged(mail), seconds=seconds, reason=failure)
    _record_postponement(mail, failure, seconds)


@autocommit
def _record_postponement(mail: Mail, failure: str, seconds: int) -> None:
    mails.POSTPONE.execute(
        kind=mail.kind, subject_id=mail.subject_id, failure=failure, seconds=seconds
    )


def _finish(mail: Mail, outcome: str, failure: str | None = None) -> None:
    _record_outcome(mail, outcome, failure)
    if outcome in {_REFUSED, _GIVEN_UP}:
        process.state().mails_given_up += 1
        _log().error(f"mail_{outcome.lower()}", **_logged(mail), reason=failure)
    else:
        _log().info(f"mail_{outcome.lower()}", **_logged(mail))


@autocommit
def _record_outcome(mail: Mail, outcome: str, failure: str | None) -> None:
    if mail.kind == ACCOUNT_DELETED:
        failure = None  # mail servers often repeat the address
    mails.FINISH.execute(
        kind=mail.kind, subject_id=mail.subject_id, outcome=outcome, failure=failure
    )


def _logged(mail: Mail) -> dict[str, object]:
    """Return what the log says of a mail: no address, since that is personal data."""
    return {"kind": mail.kind, "subject_id": str(mail.subject_id), "attempt": mail.attempt}


def _log() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("orderly")
    return logger
