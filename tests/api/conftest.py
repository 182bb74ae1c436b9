"""Fixtures for tests of operations that send mails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.support.mail_shop import MailShop
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.smtp_server import SmtpServer, smtp_server, smtp_settings


@pytest.fixture(scope="session")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    """Run a mail server."""
    with smtp_server(tmp_path_factory.mktemp("smtp")) as server:
        yield server


@pytest.fixture(scope="session")
def mail_url(
    runtime_url: str, mail_server: SmtpServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run a server that writes mails into the outbox; the tests send them."""
    with _run(runtime_url, mail_server, tmp_path_factory) as url:
        yield url


@pytest.fixture(scope="session")
def strict_url(
    runtime_url: str, mail_server: SmtpServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run a server that requires verified addresses."""
    setting = {"ORDERLY_VERIFIED_EMAIL_REQUIRED": "true"}
    with _run(runtime_url, mail_server, tmp_path_factory, **setting) as url:
        yield url


@pytest.fixture
def strict_shop(shop: str, strict_url: str, mail_server: SmtpServer) -> Iterator[MailShop]:
    """Return a shop that requires verified addresses."""
    del shop  # binds this process to the database
    with httpx2.Client(base_url=strict_url, timeout=60) as client:
        found = MailShop(client, mail_server)
        found.bind()
        yield found


@pytest.fixture
def mail_shop(shop: str, mail_url: str, mail_server: SmtpServer) -> Iterator[MailShop]:
    """Return a shop that sends mails."""
    del shop  # binds this process to the database
    with httpx2.Client(base_url=mail_url, timeout=60) as client:
        found = MailShop(client, mail_server)
        found.bind()
        yield found


@contextmanager
def _run(
    url: str, mail_server: SmtpServer, directories: pytest.TempPathFactory, **settings: str
) -> Iterator[str]:
    with run_server(
        directories.mktemp("mail") / "data",
        ORDERLY_DATABASE_URL=url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        **NO_RATE_LIMIT_VARIABLES,
        **smtp_settings(mail_server),
        **settings,
    ) as server:
        yield server.url
