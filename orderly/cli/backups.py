"""The commands `backup`, `verify-backup` and `restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orderly.cli.command import FAILED, data_dir_option, load_settings, report_errors
from orderly.cli.progress import end_progress, show_progress

if TYPE_CHECKING:
    from orderly.backups.restore import RestoreResult
    from orderly.settings import Settings

_file_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@_file_argument
@click.option(
    "--verify", is_flag=True, help="Restore the file into a temporary server, and audit it."
)
@click.option("--replace", is_flag=True, help="Replace the file if it exists.")
@data_dir_option
@report_errors
def backup(file: Path, verify: bool, replace: bool, **options: Any) -> None:
    """Write all data of the shop into a file.

    The shop can be running. The file is a consistent snapshot. It contains personal data: keep
    it as safe as the shop.
    """
    from orderly.backups import archive  # noqa: PLC0415
    from orderly.cli.command import require_migrated_database, shop_database  # noqa: PLC0415
    from services import schema  # noqa: PLC0415

    settings = load_settings(**options)
    with shop_database(settings) as database:
        require_migrated_database()
        owner_url = database.owner_url or database.url
        tables = schema.tables()
        archive.write(owner_url, file, tables, replace=replace, on_table=show_progress)
    end_progress()
    click.echo(f"Wrote {file} ({file.stat().st_size / 2**20:.1f} MiB).")
    if verify:
        _verify(settings, file)


@click.command("verify-backup")
@_file_argument
@report_errors
def verify_backup(file: Path) -> None:
    """Restore a backup into a temporary server.

    Checks the consistency of its data, as `orderly audit` does.
    """
    _verify(load_settings(), file)


@click.command()
@_file_argument
@data_dir_option
@report_errors
def restore(file: Path, **options: Any) -> None:
    """Restore the shop from a file that `backup` wrote.

    The shop must be empty. Stop all servers of the shop first. If this command is interrupted,
    run it again.
    """
    from orderly.backups.restore import restore as restore_file  # noqa: PLC0415
    from orderly.server.provisioning import provide_database  # noqa: PLC0415

    settings = load_settings(**options)
    with provide_database(settings) as database:
        result = restore_file(database.url, database.owner_url, file, on_table=show_progress)
    end_progress()
    _report(f"Restored {result.summary}.", result)


def _verify(settings: Settings, file: Path) -> None:
    from orderly.backups.restore import verify  # noqa: PLC0415

    account = settings.database_system_user
    result = verify(file, account=account, on_table=show_progress)
    end_progress()
    _report(f"The backup can be restored: {result.summary}.", result)


def _report(summary: str, result: RestoreResult) -> None:
    click.echo(summary)
    for finding in result.findings:
        click.echo(f"{finding.invariant}: {finding.subject}: {finding.detail}")
    if result.findings:
        sys.exit(FAILED)
    click.echo("All checks passed.")
