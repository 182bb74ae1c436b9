"""What the shop needs of a way to send mail."""

from __future__ import annotations

from email.message import EmailMessage
from types import TracebackType
from typing import Protocol, Self


class MailUnavailable(Exception):  # noqa: N818  # named after what is wrong
    """No mail can be sent now; the message says why."""


class MailDeferred(Exception):  # noqa: N818  # named after what is wrong
    """The mail server does not accept this mail now; it can be sent later (greylisting)."""


class MailRefused(Exception):  # noqa: N818  # named after what is wrong
    """The mail server will never accept this mail, such as for an unknown recipient."""


class MailSession(Protocol):
    """A connection to a mail server, for one mail or several."""

    def send(self, message: EmailMessage) -> None:
        """Send one mail to the recipient in its header `To`.

        If this process is killed before this returns, the mail may have been sent.

        Raises:
            MailUnavailable: no mail can be sent now.
            MailDeferred: the server does not accept this mail now.
            MailRefused: the server will never accept this mail.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class MailSender(Protocol):
    """A way to send mail."""

    def connect(self) -> MailSession:
        """Return a session, to be used in a `with` statement."""

    def erase(self, address: str) -> None:
        """Delete the mails to an address that this shop has kept, if it keeps any.

        Raises:
            MailUnavailable: that is not possible now.
        """

    def check(self) -> None:
        """Sign in to the mail server and send nothing.

        Raises:
            MailUnavailable: that is not possible.
        """
