"""The command `check-config`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from orderly.cli.command import FAILED, data_dir_option, load_settings, report_errors

if TYPE_CHECKING:
    from orderly.settings import Settings

# The origin of a value that was not set
_DEFAULT = "default"


@click.command("check-config")
@data_dir_option
@report_errors
def check_config(**options: Any) -> None:
    """Print the settings in force, and test them.

    Secrets are not printed. Connects to the database and to the payment provider, and changes
    nothing. Exits with status 1 if there is a problem, and with status 2 if a setting is
    invalid.
    """
    settings = load_settings(**options)
    for line in _table(_rows(settings, options)):
        click.echo(line)
    click.echo()
    # Imported here, so that the settings are printed before the slow import and the checks.
    from orderly.configuration_checks import Level, check  # noqa: PLC0415

    failed = False
    colors = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}
    for result in check(settings):
        level = click.style(f"{result.level.value:<8}", fg=colors[result.level])
        click.echo(f"{level}{result.subject}: {result.message}")
        failed |= result.level is Level.PROBLEM
    if failed:
        sys.exit(FAILED)


def _rows(settings: Settings, options: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each setting."""
    from dataclasses import fields  # noqa: PLC0415

    from orderly.settings import PREFIX  # noqa: PLC0415

    rows = []
    for one in fields(settings):
        name = PREFIX + one.name.upper()
        value = getattr(settings, one.name)
        text = _text(value) if one.repr else _without_secrets(one.name, value)
        rows.append((name, text, _origin(name, one.name, options)))
    return sorted(rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None or value == "" else str(value)


def _without_secrets(name: str, value: str | None) -> str:
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    if value is None:
        return "none"
    if not name.endswith("_url"):
        return "(secret)"
    # An allowlist, since an unknown parameter could be a secret.
    public = ("user", "host", "hostaddr", "port", "dbname", "sslmode", "target_session_attrs")
    parameters = parse_dsn(value)
    return " ".join(f"{key}={parameters[key]}" for key in public if key in parameters)


def _origin(name: str, option: str, options: Mapping[str, object]) -> str:
    from orderly.secret_files import SUFFIX  # noqa: PLC0415
    from orderly.settings import SECRETS  # noqa: PLC0415

    if options.get(option) is not None:
        return "option"
    if os.environ.get(name, "").strip():
        return "environment"
    file = os.environ.get(name + SUFFIX, "").strip()
    return f"file {file}" if name in SECRETS and file else _DEFAULT


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [
        click.style(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}", dim=origin == _DEFAULT)
        for name, value, origin in rows
    ]
