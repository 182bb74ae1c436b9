"""Shared by all subcommands: options, settings, the database connection and error reporting."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, ParamSpec

import click

if TYPE_CHECKING:
    from orderly.server.provisioning import ProvidedDatabase
    from orderly.settings import Settings

P = ParamSpec("P")

FAILED = 1
USAGE_ERROR = 2
_INTERRUPTED = 130

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the embedded PostgreSQL.",
)
host_option = click.option("--host", help="Address to listen on.")
port_option = click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 chooses a free port."
)


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Report the expected errors of a command as a line on standard error and an exit status."""

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from orderly.cli.errors import EXPECTED, message_of  # noqa: PLC0415
        from orderly.settings import SettingsError  # noqa: PLC0415

        try:
            command(*args, **kwargs)
        except SettingsError as error:
            fail(*(f"{name}: {message}" for name, message in error.errors), status=USAGE_ERROR)
        except BrokenPipeError:
            raise  # the reader of standard output closed it: Click exits without a message
        except EXPECTED as error:
            fail(message_of(error))

    @wraps(command)
    def run_interruptibly(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            run(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    return run_interruptibly


def fail(*messages: str, status: int = FAILED) -> NoReturn:
    """Print messages on standard error, and exit."""
    for message in messages:
        click.echo(f"{click.style('orderly:', fg='red', bold=True)} {message}", err=True)
    sys.exit(status)


def load_settings(**options: object) -> Settings:
    """Return the settings of the environment, overridden by the options of a command.

    Raises:
        SettingsError: some settings are invalid.
    """
    from orderly.settings import PREFIX, Settings  # noqa: PLC0415

    overrides = {
        PREFIX + name.upper(): str(value) for name, value in options.items() if value is not None
    }
    return Settings.from_environment({**os.environ, **overrides})


@contextmanager
def shop_database(settings: Settings) -> Iterator[ProvidedDatabase]:
    """Bind the shop's services to a running database while the block runs."""
    from database import binding  # noqa: PLC0415
    from orderly.mail_setup import mail_setup  # noqa: PLC0415
    from orderly.payment_providers import payment_providers  # noqa: PLC0415
    from orderly.server.provisioning import provide_database  # noqa: PLC0415
    from services import process  # noqa: PLC0415

    with provide_database(settings, may_be_running=True) as provided:
        process.bind(settings.configuration(), payment_providers(settings), mail_setup(settings))
        binding.bind(
            provided.url,
            max_connections=2,
            program=f"orderly {click.get_current_context().info_name}",
            slow_seconds=settings.slow_statement_seconds,
            **settings.time_limits,
        )
        try:
            yield provided
        finally:
            binding.close()


def require_migrated_database() -> None:
    """Fail if migrations are pending."""
    from database import migrations  # noqa: PLC0415

    if migrations.pending():
        fail("The database is not up to date. Run `orderly migrate`.")
