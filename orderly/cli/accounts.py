"""The command `create-admin`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from orderly.cli.command import (
    USAGE_ERROR,
    data_dir_option,
    fail,
    load_settings,
    report_errors,
    shop_database,
)


@click.command("create-admin")
@click.argument("email")
@click.option("--name", required=True, help="The administrator's name.")
@data_dir_option
@report_errors
def create_admin(email: str, name: str, **options: Any) -> None:
    """Create an administrator's account.

    Reads the password from ORDERLY_ADMIN_PASSWORD, the file in ORDERLY_ADMIN_PASSWORD_FILE, a
    prompt, or standard input. Applies pending migrations to the database first.
    """
    from orderly.cli.account_validation import account_errors  # noqa: PLC0415

    settings = load_settings(**options)
    password = _read_password()
    errors = account_errors(email=email, name=name, password=password)
    if errors:
        fail(*errors, status=USAGE_ERROR)
    with shop_database(settings) as database:
        from services import schema, users  # noqa: PLC0415

        schema.migrate(owner_url=database.owner_url)
        user = users.create_admin(email=email, name=name, password=password)
    click.echo(f"Created the administrator {user.email}.")


def _read_password() -> str:
    from orderly.secret_files import read_secret_files  # noqa: PLC0415
    from orderly.settings import ADMIN_PASSWORD_VARIABLE, SettingsError  # noqa: PLC0415

    from_file, errors = read_secret_files(os.environ, [ADMIN_PASSWORD_VARIABLE])
    if errors:
        raise SettingsError(errors)
    password = from_file.get(ADMIN_PASSWORD_VARIABLE) or os.environ.get(ADMIN_PASSWORD_VARIABLE)
    if password:
        return password
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")
