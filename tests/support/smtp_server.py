"""A real SMTP server for tests, with TLS and authentication, which keeps what it receives."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from integrations.mail.smtp import SmtpSender
from tests.support.processes import free_port

USER, PASSWORD = "orderly", "a mail password"
HOST = "localhost"
OK = "250 OK"


@dataclass
class SmtpServer:
    """What the server has received, and how it will reply."""

    ca_file: Path
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    # The replies to the next RCPT and DATA commands; afterwards each is accepted.
    replies_to_recipients: deque[str] = field(default_factory=deque)
    replies_to_data: deque[str] = field(default_factory=deque)
    encrypted: list[bool] = field(default_factory=list)
    # How long the server takes to reply to DATA
    seconds_to_reply: float = 0.0

    def sender(self, **changes: Any) -> SmtpSender:
        """Return a sender for this server that verifies its certificate."""
        fields = {
            "host": HOST,
            "port": self.port,
            "security": "starttls",
            "username": USER,
            "password": PASSWORD,
            "ca_file": str(self.ca_file),
        }
        return SmtpSender(**{**fields, **changes})

    # The hooks of aiosmtpd.
    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Reply to a recipient."""
        reply = self.replies_to_recipients.popleft() if self.replies_to_recipients else OK
        if reply == OK:
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802
        self, _server: Any, session: Session, envelope: Envelope
    ) -> str:
        """Keep a message, then reply."""
        reply = self.replies_to_data.popleft() if self.replies_to_data else OK
        if reply == OK:
            assert isinstance(envelope.content, bytes)
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients += envelope.rcpt_tos
            self.encrypted.append(session.ssl is not None)
        await asyncio.sleep(self.seconds_to_reply)
        return reply


def smtp_settings(server: SmtpServer) -> dict[str, str]:
    """Return the settings of a shop that sends its mails by a server."""
    return {
        "ORDERLY_SMTP_HOST": HOST,
        "ORDERLY_SMTP_PORT": str(server.port),
        "ORDERLY_SMTP_USERNAME": USER,
        "ORDERLY_SMTP_PASSWORD": PASSWORD,
        "ORDERLY_SMTP_CA_FILE": str(server.ca_file),
        "ORDERLY_MAIL_FROM": "The Shop <shop@example.com>",
        "ORDERLY_SHOP_URL": "https://shop.example.com/",
    }


@contextmanager
def smtp_server(directory: Path, *, tls: bool = False, port: int = 0) -> Iterator[SmtpServer]:
    """Run a server: with TLS from the beginning, or with STARTTLS, which it then requires."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = SmtpServer(ca_file)

    def authenticate(
        _server: Any, _session: Any, _envelope: Any, _kind: str, data: Any
    ) -> AuthResult:
        expected = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=data == expected, handled=False)

    controller = Controller(
        server,
        hostname=HOST,
        port=port or free_port(),
        ssl_context=context if tls else None,
        tls_context=None if tls else context,
        require_starttls=not tls,
        auth_required=True,
        authenticator=authenticate,
        auth_require_tls=not tls,
    )
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()
