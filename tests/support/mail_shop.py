"""A shop with a mail server: tests request mails through HTTP, and read what has arrived."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import httpx2

from domain.mail import KINDS
from integrations.mail.rendering import MailTemplates
from services import mail_delivery, process
from services.mail_setup import MailSetup
from tests.support.accounts import PASSWORD
from tests.support.smtp_server import SmtpServer

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"
SHOP_URL = "https://shop.example.com/"
_LINK = re.compile(r"<(https?://[^>\s]+#[a-z-]+=([A-Za-z0-9_-]+))>")


@dataclass
class MailShop:
    """A server that writes mails into the outbox, and the mail server to which they are sent."""

    client: httpx2.Client
    smtp: SmtpServer

    def bind(self) -> None:
        """Make this process the worker that sends the mails."""
        process.bind(
            replace(process.configuration(), mail_kinds=frozenset(KINDS)),
            mail=MailSetup(
                self.smtp.sender(),
                MailTemplates(),
                Address("The Shop", addr_spec="shop@example.com"),
                SHOP_URL,
            ),
        )

    def deliver(self) -> list[EmailMessage]:
        """Send the mails that are due; return those that have arrived."""
        before = len(self.smtp.messages)
        mail_delivery.send_due()
        return self.smtp.messages[before:]

    def register(self, email: str, **changes: Any) -> list[EmailMessage]:
        """Register a user; return the mails that have arrived."""
        body = {"email": email, "name": "Ada", "password": PASSWORD, **changes}
        response = self.client.post(f"{AUTH}/register", json=body)
        assert response.is_success, response.text
        return self.deliver()

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        """Sign in as a program; return the response."""
        body = {"email": email, "password": password}
        return self.client.post(f"{AUTH}/token", json=body)

    def bearer(self, email: str, password: str = PASSWORD) -> dict[str, str]:
        """Sign in; return the header of requests as this user."""
        response = self.sign_in(email, password)
        assert response.is_success, response.text
        return {"Authorization": f"Bearer {response.json()['access_token']}"}

    def request_reset(self, email: str, **headers: str) -> httpx2.Response:
        """Request a mail to reset a password."""
        path = f"{AUTH}/password-resets"
        return self.client.post(path, json={"email": email}, headers=headers)

    def confirm_reset(self, token: str, new_password: str) -> httpx2.Response:
        """Set a new password by a token."""
        body = {"token": token, "new_password": new_password}
        return self.client.post(f"{AUTH}/password-resets/confirm", json=body)

    def confirm_email(self, token: str) -> httpx2.Response:
        """Verify an address by a token."""
        return self.client.post(f"{AUTH}/email-verifications/confirm", json={"token": token})

    def reset_token(self, email: str) -> str:
        """Request a reset, deliver its mail, and return the token in it."""
        assert self.request_reset(email).status_code == httpx2.codes.ACCEPTED
        (message,) = self.deliver()
        return token_in(message)


def text_of(message: EmailMessage) -> str:
    """Return the text part of a mail."""
    part = message.get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return text


def link_in(message: EmailMessage) -> str:
    """Return the link with a token in a mail; the same in both parts."""
    links = _LINK.findall(text_of(message))
    assert len(links) == 1, text_of(message)
    part = message.get_body(("html",))
    assert part is not None
    assert f'href="{links[0][0]}"' in part.get_content()
    link: str = links[0][0]
    return link


def token_in(message: EmailMessage) -> str:
    """Return the token in the link of a mail."""
    return link_in(message).rpartition("=")[2]
