"""The command `upgrade-database`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orderly.cli.command import USAGE_ERROR, data_dir_option, fail, load_settings, report_errors
from orderly.cli.progress import end_progress, show_progress


@click.command("upgrade-database")
@click.option(
    "--old-programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the old PostgreSQL's programs, or of the old Orderly's virtual environment.",
)
@click.option("--accept-findings", is_flag=True, help="Upgrade even if the audit finds violations.")
@data_dir_option
@report_errors
def upgrade_database(old_programs: Path | None, accept_findings: bool, **options: Any) -> None:
    """Move an embedded shop to a newer PostgreSQL.

    It is the one that this version of Orderly has installed. Stop the server of the shop first.
    The old database is kept. If this command is interrupted, run it again.
    """
    from orderly.backups.upgrade import upgrade  # noqa: PLC0415

    settings = load_settings(**options)
    if settings.database_url is not None:
        fail(
            "ORDERLY_DATABASE_URL: This command is for the embedded PostgreSQL. Upgrade your own "
            "server by pg_upgrade.",
            status=USAGE_ERROR,
        )
    result = upgrade(
        settings.data_dir,
        account=settings.database_system_user,
        old_programs=old_programs,
        accept_findings=accept_findings,
        on_table=show_progress,
    )
    end_progress()
    if result is None:
        click.echo("The database does not need an upgrade.")
        return
    click.echo(f"Moved {result.restored.summary} from PostgreSQL {result.old_version}.")
    for finding in result.restored.findings:
        click.echo(f"{finding.invariant}: {finding.subject}: {finding.detail}")
    if not result.restored.findings:
        click.echo("All checks passed.")
    for name in result.not_moved:
        click.echo(f"Not moved, since it is not Orderly's: {name}")
    click.echo(
        f"The old database is kept in {result.old_cluster}. Delete it when the shop works well."
    )
