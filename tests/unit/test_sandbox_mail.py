"""The mailbox of the sandbox forgets the mails to an address."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from integrations.mail.sandbox import SandboxMailbox
from integrations.mail.sender import MailUnavailable


@pytest.fixture
def mailbox(tmp_path: Path) -> SandboxMailbox:
    found = SandboxMailbox(tmp_path)
    for to in ("ada@example.com", "bob@example.com", "Ada@Example.com"):
        message = EmailMessage()
        message["To"], message["Subject"], message["Date"] = to, "Hello", "1 Dec 2026 10:00 +0000"
        message.set_content("Hello.")
        found.send(message)
    return found


def test_only_the_mails_to_the_address_are_deleted(mailbox: SandboxMailbox) -> None:
    mailbox.erase("ada@example.com")

    assert ["bob@example.com"] == [mail.to for mail in mailbox.newest()]


def test_a_mail_that_cannot_be_read_is_not_ignored(mailbox: SandboxMailbox, tmp_path: Path) -> None:
    (tmp_path / "sandbox-mail" / "new" / "folder").mkdir()

    with pytest.raises(MailUnavailable):
        mailbox.erase("ada@example.com")


def test_a_mailbox_without_mails_has_nothing_to_erase(tmp_path: Path) -> None:
    SandboxMailbox(tmp_path).erase("ada@example.com")

    assert [] == list(tmp_path.iterdir())
