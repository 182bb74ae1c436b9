"""The command `rotate-signing-key`."""

from __future__ import annotations

from typing import Any

import click

from orderly.cli.command import data_dir_option, load_settings, report_errors


@click.command("rotate-signing-key")
@click.option(
    "--at-once",
    is_flag=True,
    help="Stop accepting the old keys immediately, if one of them may have been stolen.",
)
@data_dir_option
@report_errors
def rotate_signing_key(at_once: bool, **options: Any) -> None:
    """Sign access tokens with a new key.

    The key is stored in the data directory. Running servers use the new key within seconds;
    users stay signed in. If the key is set in ORDERLY_SIGNING_KEY, see
    docs/how-to/rotate-signing-keys.md instead.
    """
    from orderly import signing_keys  # noqa: PLC0415
    from orderly.settings import SettingsError  # noqa: PLC0415

    settings = load_settings(**options)
    if settings.signing_key is not None:
        message = "Is set, so the keys in the data directory are not used. Rotate it there."
        raise SettingsError([("ORDERLY_SIGNING_KEY", message)])
    try:
        signing_keys.rotate(settings.data_dir, at_once=at_once)
    except signing_keys.SigningKeyError as error:
        raise SettingsError([("ORDERLY_DATA_DIR", str(error))]) from error
    click.echo("Access tokens are now signed with a new key.")
