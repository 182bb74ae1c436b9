"""Creates the way to send mail that the settings name."""

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr

from integrations.mail.rendering import MailTemplates
from integrations.mail.sandbox import SandboxMailbox
from integrations.mail.sender import MailSender
from integrations.mail.smtp import SmtpSender
from orderly.settings import Settings
from services.mail_setup import MailSetup

_SANDBOX_ADDRESS = "Orderly demo shop <shop@example.com>"


def mail_setup(settings: Settings) -> MailSetup | None:
    """Return how to send mail; None if the settings say nothing about mail.

    `Settings` has validated that it can be created.
    """
    sender: MailSender
    if settings.smtp_host is not None:
        sender = SmtpSender(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_username,
            settings.smtp_password,
            ca_file=None if settings.smtp_ca_file is None else str(settings.smtp_ca_file),
        )
    elif settings.sandbox_mail:
        sender = SandboxMailbox(settings.data_dir)
    else:
        return None
    name, address = parseaddr(settings.mail_from or _SANDBOX_ADDRESS)
    return MailSetup(
        sender,
        MailTemplates(settings.mail_templates),
        Address(name, addr_spec=address),
        settings.shop_url or f"http://{settings.host}:{settings.port}/examples/storefront/",
    )
