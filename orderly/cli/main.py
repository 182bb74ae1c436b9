"""The `orderly` command: what the people who run a shop do with it.

What a command needs is imported when it runs, so that `orderly --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, ParamSpec

import click

from orderly import __version__

if TYPE_CHECKING:
    from orderly.settings import Settings

P = ParamSpec("P")

_FAILED = 1
_MISUSED = 2
_INTERRUPTED = 130

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the embedded PostgreSQL is kept.",
)


def _told_plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what can go wrong in a command into a line on standard error and an exit status."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            told(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        from orderly.cli.errors import EXPECTED, in_words  # noqa: PLC0415
        from orderly.settings import SettingsError  # noqa: PLC0415

        try:
            command(*args, **kwargs)
        except SettingsError as error:
            _fail(*(f"{name}: {fault}" for name, fault in error.faults), status=_MISUSED)
        except BrokenPipeError:
            raise  # whoever read the output has seen enough of it: Click ends in silence
        except EXPECTED as error:
            _fail(in_words(error))

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orderly", message="%(prog)s %(version)s")
def main() -> None:
    """Orderly: an order-management API on PostgreSQL.

    Settings come from variables named ORDERLY_...; docs/settings.md lists them. Without
    ORDERLY_DATABASE_URL the shop keeps its data in a PostgreSQL of its own.
    """


@main.command()
@_data_dir
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes any.")
@click.option("--workers", type=click.IntRange(min=1), help="Server processes.")
@click.option("--worker/--no-worker", default=None, help="Do the background work, too.")
@click.option("--demo", is_flag=True, help="Fill an empty shop with products and two people.")
@click.option("--reset", is_flag=True, help="With --demo: throw the demo's data away first.")
@_told_plainly
def serve(demo: bool, reset: bool, **overrides: Any) -> None:
    """Serve the API until stopped by Ctrl-C or SIGTERM.

    Requests that have begun are finished first; a second Ctrl-C does not wait for them.
    """
    from orderly.server import serve  # noqa: PLC0415

    settings = _settings(**overrides)
    sys.exit(serve.serve(settings, demo=demo, reset=reset, say=click.echo))


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes any.")
@_told_plainly
def mock(**overrides: Any) -> None:
    """Answer the contract's examples, without a database, until stopped.

    Requests are checked as the shop checks them. `Prefer: example=NAME` or `Prefer: code=404` in a
    request chooses the answer.
    """
    from orderly.mock import serve  # noqa: PLC0415

    sys.exit(serve.serve(_settings(**overrides), say=click.echo))


@main.command()
@_data_dir
@_told_plainly
def worker(**overrides: Any) -> None:
    """Do the background work alone, until stopped by Ctrl-C or SIGTERM.

    Orders that nobody pays for are cancelled, and old idempotency keys forgotten. `orderly serve`
    does this by itself; any number of both may be at it.
    """
    from orderly.http import logging  # noqa: PLC0415
    from orderly.server import signals  # noqa: PLC0415

    settings = _settings(**overrides)
    logging.configure(settings.log_level, settings.log_format)
    with signals.asked() as stopped, _shop(settings):
        from database import migrations  # noqa: PLC0415
        from orderly.background import worker  # noqa: PLC0415

        migrations.apply()
        click.echo("Doing the background work. Ctrl-C stops it.")
        worker.run(stopped)


@main.command()
@_data_dir
@_told_plainly
def migrate(**overrides: Any) -> None:
    """Bring the database up to this version of Orderly."""
    with _shop(_settings(**overrides)):
        from database import migrations  # noqa: PLC0415

        applied = migrations.apply(progress=lambda name: click.echo(f"applied {name}"))
        if not applied:
            click.echo("The database is up to date.")


@main.command("create-admin")
@click.argument("email")
@click.option("--name", required=True, help="The administrator's own name.")
@_data_dir
@_told_plainly
def create_admin(email: str, name: str, **overrides: Any) -> None:
    """Make an account for an administrator.

    The password is asked for, or read from ORDERLY_ADMIN_PASSWORD or standard input.
    """
    from orderly.cli import accounts  # noqa: PLC0415

    settings = _settings(**overrides)
    password = _password()
    faults = accounts.faults(email=email, name=name, password=password)
    if faults:
        _fail(*faults, status=_MISUSED)
    with _shop(settings):
        from database import migrations  # noqa: PLC0415
        from services import users  # noqa: PLC0415

        migrations.apply()
        user = users.create_admin(email=email, name=name, password=password)
    click.echo(f"{user.email} is an administrator now.")


@main.command()
@click.option(
    "--format", "syntax", type=click.Choice(["json", "yaml"]), default="yaml", show_default=True
)
@_told_plainly
def openapi(syntax: str) -> None:
    """Print the contract as one OpenAPI document."""
    from handlers.cookies import SessionCookies  # noqa: PLC0415
    from orderly.contract import document  # noqa: PLC0415

    settings = _settings()
    published = document.published(
        document.load(
            settings.currency, cookie_names=SessionCookies(settings.cookie_secure).names()
        )
    )
    as_json = syntax == "json"
    click.echo(document.as_json(published) if as_json else document.as_yaml(published), nl=False)


@main.command()
@_data_dir
@_told_plainly
def audit(**overrides: Any) -> None:
    """Check what must always hold in a shop; exit status 1 where something does not."""
    with _shop(_settings(**overrides)):
        from services.audit import audit as look  # noqa: PLC0415

        _expect_tables()
        findings = look()
    for finding in findings:
        click.echo(f"{finding.invariant}: {finding.subject}: {finding.detail}")
    if findings:
        sys.exit(_FAILED)
    click.echo("Everything that must hold does.")


@main.command("import-products")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--skip-faulty", is_flag=True, help="Take the good lines where others are not.")
@_data_dir
@_told_plainly
def import_products(file: BinaryIO, dry_run: bool, skip_faulty: bool, **overrides: Any) -> None:
    """Make or change the products of a CSV file; - reads standard input.

    Its columns are sku, name and price, and if you like description, currency and stock. A line
    that is faulty has nothing imported. Importing a file twice changes nothing the second time.
    """
    from orderly.cli import products  # noqa: PLC0415
    from orderly.server import provisioning  # noqa: PLC0415

    settings = _settings(**overrides)
    with _shop(settings):
        from database import migrations  # noqa: PLC0415

        migrations.apply()
        provisioning.keep_currency(settings)
        told = products.run(
            file, settings.currency, dry_run=dry_run, skip_faulty=skip_faulty, say=_say_on_terminal
        )
    for fault in told.faults:
        click.echo(f"orderly: {fault}", err=True)
    if told.summary is None:
        sys.exit(_FAILED)
    click.echo(told.summary)


@main.command("export-products")
@click.option(
    "--output", type=click.File("wb"), default="-", help="Where to write it, if not on the screen."
)
@_data_dir
@_told_plainly
def export_products(output: BinaryIO, **overrides: Any) -> None:
    """Write all products on sale as CSV, as `import-products` reads it."""
    settings = _settings(**overrides)
    with _shop(settings):
        from orderly.cli import products  # noqa: PLC0415
        from orderly.server import provisioning  # noqa: PLC0415

        _expect_tables()
        provisioning.keep_currency(settings)
        try:
            output.writelines(products.export())
            output.flush()
        except BrokenPipeError:
            raise  # whoever reads has had enough, as Click knows
        except OSError as error:
            with suppress(OSError):  # or what could not be written would be tried once more
                output.close()
            _fail(f"The file is not whole: {error.strerror}")


def _say_on_terminal(text: str) -> None:
    """Show how far something is, where somebody looks on."""
    if sys.stderr.isatty():
        click.echo(f"\r{text}", err=True, nl=False)


@main.command("rotate-signing-key")
@click.option(
    "--at-once",
    is_flag=True,
    help="Accept no other key from now on: for one that somebody may have got hold of.",
)
@_data_dir
@_told_plainly
def rotate_signing_key(at_once: bool, **overrides: Any) -> None:
    """Have access tokens signed by a new key, kept in the data directory.

    Servers that run take it over within seconds, and nobody is signed out. Keys that come from
    ORDERLY_SIGNING_KEY are rotated there: docs/how-to/rotate-signing-keys.md.
    """
    from orderly import signing_keys  # noqa: PLC0415
    from orderly.settings import SettingsError  # noqa: PLC0415

    settings = _settings(**overrides)
    if settings.signing_key is not None:
        raise SettingsError(
            [("ORDERLY_SIGNING_KEY", "is used, not the keys in the data directory")]
        )
    try:
        signing_keys.rotate(settings.data_dir, at_once=at_once)
    except signing_keys.SigningKeyError as error:
        raise SettingsError([("ORDERLY_DATA_DIR", str(error))]) from error
    click.echo("A new key signs access tokens from now on.")


def _settings(**overrides: object) -> Settings:
    from orderly.settings import PREFIX, Settings  # noqa: PLC0415

    given = {
        PREFIX + name.upper(): str(value) for name, value in overrides.items() if value is not None
    }
    return Settings.from_environment({**os.environ, **given})


@contextmanager
def _shop(settings: Settings) -> Iterator[None]:
    """Let the block use the shop's services, on a database that answers."""
    from database import binding  # noqa: PLC0415
    from orderly.server import provisioning  # noqa: PLC0415
    from services import process  # noqa: PLC0415

    with provisioning.database_of(settings, shared=True) as provided:
        process.bind(settings.configuration())
        binding.bind(provided.url, max_connections=2)
        try:
            yield
        finally:
            binding.close()


def _expect_tables() -> None:
    from database import migrations  # noqa: PLC0415

    if migrations.pending():
        _fail("The database is not up to date: `orderly migrate` sees to that.")


def _password() -> str:
    from orderly.settings import ADMIN_PASSWORD_NAME  # noqa: PLC0415

    given = os.environ.get(ADMIN_PASSWORD_NAME)
    if given:
        return given
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")


def _fail(*messages: str, status: int = _FAILED) -> NoReturn:
    for message in messages:
        click.echo(f"orderly: {message}", err=True)
    sys.exit(status)
