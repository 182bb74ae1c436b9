"""The commands about the database: `migrate` and `audit`."""

from __future__ import annotations

import sys
from typing import Any

import click

from orderly.cli.command import (
    FAILED,
    data_dir_option,
    load_settings,
    report_errors,
    require_migrated_database,
    shop_database,
)


@click.command()
@data_dir_option
@report_errors
def migrate(**options: Any) -> None:
    """Apply the pending migrations to the database."""
    with shop_database(load_settings(**options)) as database:
        from services import schema  # noqa: PLC0415

        applied = schema.migrate(
            owner_url=database.owner_url, progress=lambda name: click.echo(f"applied {name}")
        )
        if not applied:
            click.echo("The database is up to date.")


@click.command()
@data_dir_option
@report_errors
def audit(**options: Any) -> None:
    """Check the consistency of the shop's data.

    Exits with status 1 if a check fails.
    """
    with shop_database(load_settings(**options)):
        from services.audit import audit as check  # noqa: PLC0415

        require_migrated_database()
        findings = check()
    for finding in findings:
        invariant = click.style(f"{finding.invariant}:", fg="red")
        click.echo(f"{invariant} {finding.subject}: {finding.detail}")
    if findings:
        sys.exit(FAILED)
    click.secho("All checks passed.", fg="green")
