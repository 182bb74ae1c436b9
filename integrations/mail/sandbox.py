"""Keeps mails in a directory instead of sending them, for the demo and for tests.

The directory is a Maildir, so that mail programs can open it too.
"""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from integrations.mail.sender import MailUnavailable

# Of the oldest mails, those beyond this number are deleted.
MAX_MAILS = 200


@dataclass(frozen=True, slots=True)
class SandboxMail:
    """A mail that was not sent, with its decoded parts."""

    id: str
    sent_at: datetime
    to: str
    subject: str
    text: str
    html: str


class SandboxMailbox:
    """The mails in the data directory of a shop. Several processes can use it at the same time."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "sandbox-mail"

    def connect(self) -> Self:
        """Return this mailbox."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def check(self) -> None:
        """Do nothing: there is no server."""

    def send(self, message: EmailMessage) -> None:
        """Keep a mail; delete the oldest ones.

        Raises:
            MailUnavailable: the directory cannot be written to.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            maildir = mailbox.Maildir(self._path)
            maildir.add(message)
            for key in self._keys()[MAX_MAILS:]:
                with suppress(KeyError, FileNotFoundError):  # another process has deleted it
                    maildir.remove(key)
        except OSError as error:
            raise MailUnavailable(f"{error.strerror}: {error.filename}") from error

    def erase(self, address: str) -> None:
        """Delete the mails to an address.

        Raises:
            MailUnavailable: a file cannot be deleted.
        """
        try:
            for mail in self.newest():
                if mail.to.lower() == address.lower():
                    (self._path / "new" / mail.id).unlink(missing_ok=True)
        except OSError as error:
            raise MailUnavailable(f"{error.strerror}: {error.filename}") from error

    def newest(self) -> Iterator[SandboxMail]:
        """Yield the mails, the newest first."""
        for key in self._keys():
            with suppress(KeyError, FileNotFoundError):  # deleted meanwhile
                yield self.get(key)

    def get(self, key: str) -> SandboxMail:
        """Return a mail.

        Raises:
            KeyError: there is none.
        """
        if key not in self._keys():
            raise KeyError(key)
        content = (self._path / "new" / key).read_bytes()
        message = message_from_bytes(content, policy=policy.default)
        return SandboxMail(
            id=key,
            sent_at=parsedate_to_datetime(message["Date"]),
            to=message["To"].addresses[0].addr_spec,
            subject=message["Subject"],
            text=_part(message, "plain"),
            html=_part(message, "html"),
        )

    def _keys(self) -> list[str]:
        """Return the names of the files, the newest first."""
        files = []
        for file in self._path.glob("new/*"):
            with suppress(FileNotFoundError):  # deleted meanwhile
                files.append((file.stat().st_mtime_ns, file.name))
        return [name for _, name in sorted(files, reverse=True)]


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else part.get_content()
