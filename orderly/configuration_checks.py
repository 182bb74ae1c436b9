"""Tests the settings of a deployment before it is started: `orderly check-config`.

The checks change nothing: they create neither an embedded database nor a signing key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

from database import binding, migrations
from database.server_facts import ServerFacts, server_facts
from domain.errors import Unavailable
from domain.mail import KINDS
from integrations.mail.rendering import TemplateInvalid
from integrations.mail.sender import MailUnavailable
from integrations.payments import sandbox
from integrations.payments.provider import ProviderRefused, ProviderUnavailable
from orderly import signing_keys
from orderly.mail_setup import mail_setup
from orderly.payment_providers import payment_providers
from orderly.server.demo import refuse_public_passwords
from orderly.server.open_files import allow_open_files
from orderly.server.provisioning import check_currency, provide_database
from orderly.settings import Settings, SettingsError, is_loopback
from services import process, schema

_OLDEST_POSTGRESQL = 15


class Level(Enum):
    """How serious a result is."""

    OK = "ok"
    # Orderly works, but the operator should know of this.
    NOTE = "note"
    # Orderly would not start, or would fail later.
    PROBLEM = "problem"


@dataclass(frozen=True)
class Result:
    """The result of one check."""

    level: Level
    # What was checked, such as `database`.
    subject: str
    message: str


def check(settings: Settings) -> Iterator[Result]:
    """Test the settings; yield each result as soon as it is known."""
    yield from _check_database(settings)
    yield from _check_signing_key(settings)
    yield from _check_payments(settings)
    yield from _check_mail(settings)
    yield from _check_network(settings)
    yield from _check_files(settings)


def _ok(subject: str, message: str) -> Result:
    return Result(Level.OK, subject, message)


def _note(subject: str, message: str) -> Result:
    return Result(Level.NOTE, subject, message)


def _problem(subject: str, message: str) -> Result:
    return Result(Level.PROBLEM, subject, message)


def _check_database(settings: Settings) -> Iterator[Result]:
    if settings.database_url is None:
        yield from _check_embedded(settings)
        return
    facts = {}
    for name, url in (
        ("ORDERLY_DATABASE_URL", settings.database_url),
        ("ORDERLY_DATABASE_OWNER_URL", settings.database_owner_url),
    ):
        if url is None:
            continue
        try:
            facts[name] = server_facts(url)
        except Unavailable as error:
            reason = str(error.__cause__).strip().partition("\n")[0]
            yield _problem("database", f"{name}: {reason}")
    if "ORDERLY_DATABASE_URL" not in facts:
        return
    server = facts["ORDERLY_DATABASE_URL"]
    yield _ok("database", f"PostgreSQL {server.version}, connected as {server.role}")
    owner = facts.get("ORDERLY_DATABASE_OWNER_URL", server)
    yield from _check_server(settings, server, owner)
    with _bound(settings, settings.database_url):
        yield from _check_shop(settings)


def _check_server(settings: Settings, server: ServerFacts, owner: ServerFacts) -> Iterator[Result]:
    if server.major_version < _OLDEST_POSTGRESQL:
        yield _problem("database", f"Orderly needs PostgreSQL {_OLDEST_POSTGRESQL} or later.")
    if server.encoding != "UTF8":
        yield _problem("database", f"Its encoding must be UTF8, and is {server.encoding}.")
    if server.is_standby or server.is_read_only:
        yield _problem("database", "It is a standby or read-only: nobody could order.")
    if (owner.system_identifier, owner.database) != (server.system_identifier, server.database):
        message = "Names another database than ORDERLY_DATABASE_URL."
        yield _problem("database", f"ORDERLY_DATABASE_OWNER_URL: {message}")
    needed = (settings.workers + 1) * (settings.threads + 1)
    if server.max_connections < needed:
        yield _note(
            "database",
            f"Allows {server.max_connections} connections; this machine can use {needed}:"
            " (ORDERLY_WORKERS + 1) x (ORDERLY_THREADS + 1).",
        )


def _check_embedded(settings: Settings) -> Iterator[Result]:
    cluster = settings.data_dir / "postgresql" / "PG_VERSION"
    if not cluster.exists():
        message = f"{settings.data_dir} has no shop yet: the first start creates one."
        yield _note("database", message)
        return
    from orderly.embedded import EmbeddedDatabaseError  # noqa: PLC0415  # missing on some systems

    try:
        with provide_database(settings, may_be_running=True) as database:
            version = server_facts(database.url).version
            yield _ok("database", f"embedded PostgreSQL {version} in {settings.data_dir}")
            with _bound(settings, database.url):
                yield from _check_shop(settings)
    except EmbeddedDatabaseError as error:
        yield _problem("database", str(error))


@contextmanager
def _bound(settings: Settings, url: str) -> Iterator[None]:
    # Only `passwords.verify` uses this. The placeholder keeps `configuration` from creating a key.
    configuration = replace(settings, signing_key="-" * signing_keys.MINIMUM_BYTES).configuration()
    process.bind(configuration, {})
    binding.bind(url, max_connections=1, program="orderly check-config")
    try:
        yield
    finally:
        binding.close()


def _check_shop(settings: Settings) -> Iterator[Result]:
    if not schema.is_server_verified():
        yield _note(
            "database",
            "It is on another machine, and its certificate is not verified: end the URL in"
            " ?sslmode=verify-full.",
        )
    if pending := migrations.pending():
        yield _note("database", f"Pending migrations: {len(pending)}. Run `orderly migrate`.")
        return
    if not schema.is_log_protected():
        yield _note(
            "database",
            "Its role owns the tables, and could change the security log: use a second role for"
            " ORDERLY_DATABASE_OWNER_URL.",
        )
    for validate in (check_currency, refuse_public_passwords):
        yield from _settings_errors("shop", validate, settings)


def _settings_errors(
    subject: str, validate: Callable[[Settings], object], settings: Settings
) -> Iterator[Result]:
    try:
        validate(settings)
    except SettingsError as error:
        for name, message in error.errors:
            yield _problem(subject, f"{name}: {message}")


def _check_signing_key(settings: Settings) -> Iterator[Result]:
    if settings.signing_key is not None:
        yield _ok("signing key", "set by ORDERLY_SIGNING_KEY")
    elif (settings.data_dir / signing_keys.FILE_NAME).exists():
        yield from _settings_errors("signing key", Settings.signing_keys, settings)
    else:
        yield _note("signing key", f"The first start creates one in {settings.data_dir}.")
        yield from _check_directory("signing key", settings.data_dir)
    if settings.signing_key is None and settings.database_url is not None:
        message = "If the shop has several machines, set the same ORDERLY_SIGNING_KEY on all."
        yield _note("signing key", message)


def _check_payments(settings: Settings) -> Iterator[Result]:
    providers = payment_providers(settings)
    if not providers:
        yield _note("payments", "No provider: only administrators can record payments.")
    for name, provider in providers.items():
        try:
            provider.check()
        except ProviderRefused:
            yield _problem("payments", f"{name} refuses the secret key.")
        except ProviderUnavailable as error:
            yield _problem("payments", f"{name} did not respond as expected: {error.__cause__}.")
        else:
            yield (
                _note("payments", f"{name}: customers can pay without money.")
                if name == sandbox.NAME
                else _ok("payments", f"{name} accepts the secret key")
            )


def _check_mail(settings: Settings) -> Iterator[Result]:
    setup = mail_setup(settings)
    if setup is None:
        yield _note("mail", "No mail server: the shop sends no mail.")
        return
    for kind in KINDS:
        try:
            setup.templates.check(kind)
        except TemplateInvalid as error:
            yield _problem("mail", f"ORDERLY_MAIL_TEMPLATES: {error}.")
    if settings.sandbox_mail:
        yield _note("mail", "Mails are not sent: everyone can read them at /sandbox/mail.")
        return
    try:
        setup.sender.check()
    except MailUnavailable as error:
        yield _problem("mail", f"{settings.smtp_host}: {error}.")
    else:
        yield _ok("mail", f"{settings.smtp_host} accepts the connection")


def _check_network(settings: Settings) -> Iterator[Result]:
    yield from _settings_errors("connections", allow_open_files, settings)
    if is_loopback(settings.host):
        return
    if not settings.cookie_secure:
        yield _note(
            "network",
            "Other machines can connect, and browsers send session cookies without HTTPS: set"
            " ORDERLY_COOKIE_SECURE=true behind a proxy with HTTPS.",
        )
    if not settings.trusted_proxies:
        yield _note(
            "network",
            "ORDERLY_TRUSTED_PROXIES is not set: behind a proxy, all clients share its limits.",
        )
    if not settings.request_limit:
        yield _note("network", "ORDERLY_REQUEST_LIMIT is 0: one client can use up a process.")
    if settings.metrics_port is not None and not _is_private(settings.metrics_host):
        yield _note(
            "network", "Metrics have no access control: keep ORDERLY_METRICS_PORT off the internet."
        )


def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return True  # a name: unknown
    return address.is_private and not address.is_unspecified


def _check_files(settings: Settings) -> Iterator[Result]:
    if settings.backup_dir is not None:
        yield from _check_directory("backups", settings.backup_dir)
    if settings.log_file is not None:
        yield from _check_directory("log", settings.log_file.parent)


def _check_directory(subject: str, path: Path) -> Iterator[Result]:
    """Check that this user can write files in a directory, or create it."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield _problem(subject, f"{path} is not a directory that this user can write to.")
