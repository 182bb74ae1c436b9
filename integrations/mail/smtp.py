"""Sends mail by SMTP (RFC 5321), with TLS (RFC 8314) or STARTTLS (RFC 3207)."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from integrations.mail.sender import MailDeferred, MailRefused, MailUnavailable

_PERMANENT = range(500, 600)


@dataclass(frozen=True, slots=True)
class SmtpSender:
    """A mail server. `security` is `tls`, `starttls` or `none`.

    Without a user name, there is no authentication.
    """

    host: str
    port: int
    security: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    # The authorities that certificates are verified with; None: those of the system.
    ca_file: str | None = None
    # The time limit of each reply of the server
    timeout_seconds: float = 20.0

    def connect(self) -> SmtpSession:
        """Return a session; the connection is opened for the first mail."""
        return SmtpSession(self)

    def erase(self, address: str) -> None:
        """Do nothing: this shop keeps no mails."""

    def check(self) -> None:
        """Sign in to the mail server and send nothing.

        Raises:
            MailUnavailable: that is not possible.
        """
        with self.connect() as session:
            session.open()


class SmtpSession:
    """A connection for several mails."""

    def __init__(self, sender: SmtpSender) -> None:
        self._sender = sender
        self._connection: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            try:
                self._connection.quit()
            except (smtplib.SMTPException, OSError):
                self._connection.close()
            self._connection = None

    def open(self) -> smtplib.SMTP:
        """Connect and sign in, unless that was done before.

        Raises:
            MailUnavailable: that is not possible.
        """
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (smtplib.SMTPException, OSError, ValueError) as error:
                raise MailUnavailable(_reason(error)) from error
        return self._connection

    def send(self, message: EmailMessage) -> None:
        """Send one mail to the recipient in its header `To`.

        Raises:
            MailUnavailable: the server cannot be reached, or accepts no mail now.
            MailDeferred: the server does not accept this mail now.
            MailRefused: the server will never accept this mail.
        """
        connection = self.open()
        try:
            connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            [(code, text)] = error.recipients.values()
            raise _refusal(code, text) from error
        except smtplib.SMTPSenderRefused as error:
            # The same for all mails: the settings are wrong, or this connection is of no use.
            self._close()
            raise MailUnavailable(_reason(error)) from error
        except smtplib.SMTPDataError as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
            raise MailRefused(_reason(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            raise MailUnavailable(_reason(error)) from error

    def _connect(self) -> smtplib.SMTP:
        sender = self._sender
        context = ssl.create_default_context(cafile=sender.ca_file)
        connection: smtplib.SMTP
        if sender.security == "tls":
            connection = smtplib.SMTP_SSL(
                sender.host, sender.port, timeout=sender.timeout_seconds, context=context
            )
        else:
            connection = smtplib.SMTP(sender.host, sender.port, timeout=sender.timeout_seconds)
        try:
            if sender.security == "starttls":
                connection.starttls(context=context)
            if sender.username is not None:
                connection.login(sender.username, sender.password or "")
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _refusal(code: int, text: bytes | str) -> MailRefused | MailDeferred:
    """Return the exception for a reply: 5xx is permanent, 4xx is temporary (RFC 5321, 4.2.1)."""
    reason = f"{code} {_text(text)}"
    return MailRefused(reason) if code in _PERMANENT else MailDeferred(reason)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:500]
