"""The `orderly` command and its subcommands.

Each subcommand imports what it needs when it runs, so that `orderly --help` is fast.
"""

from __future__ import annotations

import os

import click

from orderly import __version__
from orderly.cli import (
    accounts,
    backups,
    configuration,
    contract,
    database,
    keys,
    products,
    server,
    upgrade,
    verify,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orderly", message="%(prog)s %(version)s")
def main() -> None:
    """Orderly: an order-management API on PostgreSQL.

    Settings are environment variables named ORDERLY_...; docs/settings.md describes them. Without
    ORDERLY_DATABASE_URL, Orderly runs its own embedded PostgreSQL.
    """
    if os.environ.get("NO_COLOR"):  # see https://no-color.org
        click.get_current_context().color = False


for command in (
    server.serve,
    server.leave_demo,
    server.mock,
    server.worker,
    configuration.check_config,
    database.migrate,
    database.audit,
    backups.backup,
    backups.verify_backup,
    backups.restore,
    upgrade.upgrade_database,
    accounts.create_admin,
    products.import_products,
    products.export_products,
    contract.openapi,
    verify.verify,
    keys.rotate_signing_key,
):
    main.add_command(command)
