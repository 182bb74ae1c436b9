"""The accounts of a run: the administrator that is given, and customers that the run registers."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx2

from orderly.verification.requests import Violation

# Reserved for examples (RFC 2606): no mail to it is delivered.
THROW_AWAY_DOMAIN = "verify.example"


@dataclass(frozen=True)
class Account:
    """An account to sign in with."""

    name: str
    email: str
    password: str


@dataclass(frozen=True)
class Accounts:
    """Two customers, who must not access each other's data, and the administrator."""

    alice: Account
    admin: Account
    bob: Account

    @classmethod
    def register(cls, api_url: str, admin: tuple[str, str]) -> Self:
        """Register the customers.

        Raises:
            Violation: the registration is refused.
        """
        alice, bob = (_register(api_url, name) for name in ("alice", "bob"))
        return cls(alice, Account("admin", *admin), bob)

    def write_credentials(self, path: Path) -> None:
        """Write the file from which Schemathesis reads how each account signs in.

        Schemathesis calls each operation as the first account that may call it.
        """
        login = {
            "endpoint": "/api/v1/auth/login",
            "verb": "POST",
            "contentType": "application/json",
            "payloadUserPwd": {"usernameField": "email", "passwordField": "password"},
            "expectCookies": True,
        }
        accounts = [
            {
                "name": account.name,
                "loginEndpointAuth": {
                    "payloadUserPwd": {"username": account.email, "password": account.password}
                },
            }
            for account in (self.alice, self.admin, self.bob)
        ]
        document = {"authTemplate": {"loginEndpointAuth": login}, "auth": accounts}
        path.write_text(json.dumps(document, indent=2) + "\n")


def _register(api_url: str, name: str) -> Account:
    account = Account(
        name, f"{name}-{secrets.token_hex(6)}@{THROW_AWAY_DOMAIN}", secrets.token_urlsafe(16)
    )
    body = {"email": account.email, "name": name.title(), "password": account.password}
    response = httpx2.post(f"{api_url}/auth/register", json=body, timeout=60)
    if response.status_code not in {201, 202}:
        raise Violation(f"register: {response.status_code} {response.text}")
    return account
