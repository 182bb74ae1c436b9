"""The command `orderly serve`: binds the socket, provides the database, and starts the server.

The socket is bound first, so that an address in use is reported before any other work. At shutdown,
the database stops last, since requests in flight need it.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from handlers.responses import BASE_PATH
from integrations.payments.sandbox import DEMO_SECRET
from orderly import __version__
from orderly.http import logging
from orderly.server import demo as demo_shop
from orderly.server import processes
from orderly.server.listen_socket import open_socket, url_of
from orderly.server.metrics import export_metrics
from orderly.server.provisioning import (
    ProvidedDatabase,
    check_currency,
    provide_database,
    wait_for_database,
)
from orderly.server.server_hooks import FORCED, STOPPED, ServerHooks
from orderly.server.signals import StopSignals
from orderly.settings import Settings, SettingsError, is_loopback

if TYPE_CHECKING:
    from orderly.background.job_metrics import JobMetrics

Print = Callable[[str], None]

# A front end that is being developed has its own server on this machine.
_LOCAL_ORIGINS = "http://localhost:*,http://127.0.0.1:*,http://[::1]:*"


def serve(settings: Settings, *, demo: bool, reset: bool = False, output: Print) -> int:
    """Serve the shop until a stop signal arrives; return the exit status.

    `output` prints the few lines that the user needs to see at the start.

    Raises:
        SettingsError: the settings are unsafe, or do not fit the existing shop.
        AddressError: the server cannot listen on the address.
        EmbeddedDatabaseError: the embedded database cannot run.
        Unavailable: the database of the settings cannot be reached.
        KeyboardInterrupt: a stop signal arrived before the database had started, or during the
            shutdown.
    """
    if demo:
        _refuse_public_demo(settings)
        settings = replace(
            settings,
            demo=True,
            storefront=True,
            admin_page=True,
            test_system=True,
            sandbox_secret=settings.sandbox_secret or DEMO_SECRET,
            cors_origins=settings.cors_origins or _LOCAL_ORIGINS,
        )
    elif reset:
        raise SettingsError([("--reset", "Only works together with --demo.")])
    if settings.traces:
        from orderly.tracing.setup import check_environment  # noqa: PLC0415  # optional

        check_environment()
    logging.configure_for(settings)
    stop_signals = StopSignals()
    with (
        stop_signals.installed(),
        closing(open_socket(settings.host, settings.port)) as server_socket,
    ):
        if settings.sandbox_mail and settings.shop_url is None:
            url = url_of(server_socket, settings.host)
            settings = replace(settings, shop_url=f"{url}/examples/storefront/")
        with provide_database(
            settings, wait_for_disk_seconds=settings.database_wait_seconds
        ) as database:
            try:
                accounts = _prepare(settings, database, demo=demo, reset=reset)
                lines = [
                    *_summary(settings, server_socket, database),
                    *accounts,
                    "Press Ctrl-C to stop.",
                ]
                status = _run(server_socket, database, settings, lines, output, stop_signals)
            except KeyboardInterrupt:
                status = STOPPED  # before the server accepted requests
        if status == FORCED:
            # Without this, Python waits for threads whose requests were aborted.
            sys.stdout.flush()
            logging.flush()
            os._exit(status)
    return status


def _summary(
    settings: Settings, server_socket: socket.socket, database: ProvidedDatabase
) -> list[str]:
    url = url_of(server_socket, settings.host)
    is_embedded = settings.database_url is None
    location = settings.data_dir if is_embedded else "the database of ORDERLY_DATABASE_URL"
    lines = [
        f"Orderly {__version__} serves the shop in {location}",
        f"  Documentation  {url}/docs",
        f"  API            {url}{BASE_PATH}",
    ]
    if settings.storefront:
        lines.append(f"  Storefront     {url}/examples/storefront/")
    if settings.admin_page:
        lines.append(f"  Administration {url}/admin/")
    if settings.sandbox_mail:
        lines.append(f"  Mails          {url}/sandbox/mail")
    if database.account is not None:
        lines.append(f"  PostgreSQL     runs as {database.account}: it refuses to run as root")
    return lines


def _run(
    server_socket: socket.socket,
    database: ProvidedDatabase,
    settings: Settings,
    lines: list[str],
    output: Print,
    stop_signals: StopSignals,
) -> int:
    data_dir = settings.data_dir if settings.database_url is None else None
    backup_job = _backup_job(settings)
    # Server processes do not get the owner's password.
    settings = replace(settings, database_url=database.url, database_owner_url=None)
    is_embedded = data_dir is not None
    with (
        export_metrics(settings, data_dir=data_dir) as (settings, jobs, metrics_url),
        _worker(settings, backup_job, jobs) as start_worker,
        _sandbox(settings, server_socket) as start_sandbox,
    ):
        if metrics_url is not None:
            lines = [*lines[:-1], f"  Metrics        {metrics_url}", lines[-1]]

        def on_ready() -> None:
            start_worker()
            start_sandbox()
            _warn_of_insecure_cookies(settings)
            _warn_of_sandbox(settings, is_embedded=is_embedded)
            _warn_of_sandbox_mail(settings, is_embedded=is_embedded)
            with suppress(OSError):  # standard output may be closed
                output("\n".join(lines))

        hooks = ServerHooks(on_ready, on_tick=database.keep_alive)
        return processes.run(settings, server_socket, hooks, stop_signals)


@contextmanager
def _worker(
    settings: Settings, more_jobs: Mapping[str, Callable[[], int]], metrics: JobMetrics | None
) -> Iterator[Callable[[], None]]:
    """Yield a function that starts the background worker if the settings ask for one.

    The worker runs in a thread of this process. If this is the supervisor of several server
    processes, the worker has the only database connection of this process.
    """
    if not settings.worker:
        yield lambda: None
        return
    from database import binding  # noqa: PLC0415  # slow: import after binding the socket
    from orderly.background import worker  # noqa: PLC0415

    assert settings.database_url is not None  # noqa: S101
    binding.bind(
        settings.database_url,
        max_connections=1,
        program="orderly worker",
        slow_seconds=settings.slow_statement_seconds,
        **settings.time_limits,
    )
    try:
        with worker.in_thread({**worker.JOBS, **more_jobs}, metrics) as start:
            yield start
    finally:
        binding.close()


@contextmanager
def _sandbox(settings: Settings, server_socket: socket.socket) -> Iterator[Callable[[], None]]:
    """Yield a function that starts the sender of the sandbox's notifications, if it is enabled."""
    if not (settings.sandbox_payments and settings.worker):
        yield lambda: None
        return
    from orderly.background import sandbox  # noqa: PLC0415

    url = url_of(server_socket, settings.host) + BASE_PATH
    with sandbox.in_thread(settings, url) as start:
        yield start


def _backup_job(settings: Settings) -> Mapping[str, Callable[[], int]]:
    """Return the job that writes daily backups, if the settings ask for it."""
    if settings.backup_dir is None:
        return {}
    from orderly.background.daily_backup import DailyBackup  # noqa: PLC0415

    return {"backups_written": DailyBackup(settings)}


def _prepare(
    settings: Settings, database: ProvidedDatabase, *, demo: bool, reset: bool
) -> list[str]:
    """Migrate the database, and fill it for a demo; return lines with the demo's accounts.

    The lines omit accounts that are disabled or have a new password.
    """
    from database import binding  # noqa: PLC0415  # slow: import after binding the socket
    from orderly.mail_setup import mail_setup  # noqa: PLC0415
    from orderly.payment_providers import payment_providers  # noqa: PLC0415
    from services import process, schema  # noqa: PLC0415

    process.bind(settings.configuration(), payment_providers(settings), mail_setup(settings))
    binding.bind(database.url, max_connections=1)
    try:
        wait_for_database(settings)
        if not demo:
            schema.migrate(owner_url=database.owner_url)
            _warn_of_unprotected_log()
            _warn_of_unverified_database()
            check_currency(settings)
            demo_shop.refuse_public_passwords(settings)
            if settings.database_url is None:
                demo_shop.forbid_reset(settings)
            return _how_to_create_an_administrator(settings)
        demo_shop.prepare(settings, database, reset=reset)
        check_currency(settings)
        from services.demo import exposed_accounts, fill  # noqa: PLC0415

        fill()
        return [
            f"  {'' if number else 'Sign in as':<14} {account.email}  {account.password}"
            for number, account in enumerate(exposed_accounts())
        ]
    finally:
        binding.close()


def _how_to_create_an_administrator(settings: Settings) -> list[str]:
    """Return a line for a shop that has no administrator."""
    from services import users  # noqa: PLC0415  # slow: import after binding the socket

    if users.has_administrator():
        return []
    command = ["orderly", "create-admin", "EMAIL", "--name", "NAME"]
    if settings.database_url is None:
        command += ["--data-dir", str(settings.data_dir)]
    return [f"  Administrator  none yet; create one: {shlex.join(command)}"]


def _warn_of_unprotected_log() -> None:
    from services import schema  # noqa: PLC0415  # slow: import after binding the socket

    if not schema.is_log_protected():
        structlog.get_logger("orderly").warning(
            "security_log_not_protected",
            reason="the role of ORDERLY_DATABASE_URL owns the tables",
            remedy="create a second role: see docs/how-to/deploy.md",
        )


def _warn_of_unverified_database() -> None:
    from services import schema  # noqa: PLC0415  # slow: import after binding the socket

    if not schema.is_server_verified():
        structlog.get_logger("orderly").warning(
            "database_not_verified",
            reason="The database is on another machine, and its certificate is not verified.",
            remedy="End ORDERLY_DATABASE_URL in ?sslmode=verify-full: see docs/how-to/deploy.md.",
        )


def _refuse_public_demo(settings: Settings) -> None:
    """Refuse a demo of an external database, or one that other machines can connect to.

    The passwords of a demo are public.
    """
    errors = []
    if settings.database_url is not None:
        errors.append(("ORDERLY_DATABASE_URL", "--demo only works with the embedded database."))
    if not is_loopback(settings.host):
        errors.append(("ORDERLY_HOST", "--demo only listens on this machine, such as 127.0.0.1."))
    if errors:
        raise SettingsError(errors)


def _warn_of_sandbox(settings: Settings, *, is_embedded: bool) -> None:
    if settings.sandbox_payments and not (is_embedded and is_loopback(settings.host)):
        structlog.get_logger("orderly").warning(
            "sandbox_payments_enabled",
            reason="Customers can pay with the sandbox, without money.",
            remedy="Unless this is a test, set ORDERLY_SANDBOX_PAYMENTS=false.",
        )


def _warn_of_sandbox_mail(settings: Settings, *, is_embedded: bool) -> None:
    if settings.sandbox_mail and not (is_embedded and is_loopback(settings.host)):
        structlog.get_logger("orderly").warning(
            "sandbox_mail_enabled",
            reason="Everyone can read all mails, with their secret links.",
            remedy="Unless this is a test, set ORDERLY_SANDBOX_MAIL=false.",
        )


def _warn_of_insecure_cookies(settings: Settings) -> None:
    if not settings.cookie_secure and not is_loopback(settings.host):
        structlog.get_logger("orderly").warning(
            "cookies_not_secure",
            host=settings.host,
            reason="Other machines can connect, and browsers send session cookies without HTTPS.",
            remedy="Put a proxy with HTTPS in front, and set ORDERLY_COOKIE_SECURE=true.",
        )
