"""A worker that sends mails, as a process that a test kills.

Usage: python -m tests.support.mail_process DATABASE_URL PORT CA_FILE
"""

from __future__ import annotations

import sys
import threading
from email.headerregistry import Address

from database import binding
from integrations.mail.rendering import MailTemplates
from integrations.mail.smtp import SmtpSender
from orderly.background import worker
from services import mail_delivery, process
from services.configuration import Configuration
from services.mail_setup import MailSetup
from tests.support.smtp_server import HOST, PASSWORD, USER


def main(url: str, port: str, ca_file: str) -> None:
    """Send mails until this process is killed."""
    process.bind(
        Configuration(signing_key=b"-" * 32),
        mail=MailSetup(
            SmtpSender(HOST, int(port), "starttls", USER, PASSWORD, ca_file),
            MailTemplates(),
            Address("Shop", addr_spec="shop@example.com"),
            "https://shop.example.com/",
        ),
    )
    binding.bind(url, max_connections=1)
    worker.run(threading.Event(), {"mails_sent": mail_delivery.send_due}, pause=0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
