"""How this shop sends mail."""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address

from integrations.mail.rendering import MailTemplates
from integrations.mail.sender import MailSender


@dataclass(frozen=True, slots=True)
class MailSetup:
    """The way to send mail, and what all mails have in common."""

    sender: MailSender
    templates: MailTemplates
    # The header `From`; its display name is the shop's name.
    address: Address
    # Where links in mails lead to: the front end.
    shop_url: str

    @property
    def shop_name(self) -> str:
        """The name of the shop in mails."""
        return self.address.display_name or self.address.domain
