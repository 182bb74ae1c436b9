"""Prepares the shop of `serve --demo`, resets it, and ends the demo.

A marker file in the data directory says that the shop may be reset. It is created before the
example data is added. It is deleted by `orderly leave-demo`, or when the shop is first served
without `--demo`. While the demo's passwords work, the shop is not served without `--demo`.
"""

from __future__ import annotations

import shlex

from integrations.payments import sandbox_store
from orderly import signing_keys
from orderly.server.provisioning import ProvidedDatabase
from orderly.settings import Settings, SettingsError

_MARKER = "demo"
_TEXT = (
    "`orderly serve --demo` created this shop. `orderly serve --demo --reset` deletes its data.\n"
)


def prepare(settings: Settings, database: ProvidedDatabase, *, reset: bool) -> None:
    """Migrate the demo's embedded database, after emptying it if `reset`.

    Raises:
        SettingsError: `reset`, but the shop is not a demo.
    """
    from services import demo, schema  # noqa: PLC0415  # slow: import after binding the socket

    marker = settings.data_dir / _MARKER
    if reset and marker.exists():
        assert database.recreate is not None  # noqa: S101  # the demo's database is embedded
        database.recreate()
        (settings.data_dir / sandbox_store.FILE_NAME).unlink(missing_ok=True)
        if settings.signing_key is None:  # access tokens of deleted users must not verify
            signing_keys.rotate(settings.data_dir, at_once=True)
    schema.migrate(owner_url=database.owner_url)
    if demo.is_empty():
        marker.write_text(_TEXT)
    elif reset and not marker.exists():
        raise SettingsError(
            [
                (
                    "--reset",
                    f"The shop in {settings.data_dir} was created or served without --demo, so "
                    "its data is not deleted. Choose another directory with --data-dir.",
                )
            ]
        )


def refuse_public_passwords(settings: Settings) -> None:
    """Refuse to serve a shop without `--demo` while the demo's public passwords work.

    Raises:
        SettingsError: some accounts have such a password.
    """
    from services import demo  # noqa: PLC0415

    if accounts := demo.exposed_accounts():
        emails = ", ".join(account.email for account in accounts)
        message = (
            f"Is required, because the passwords of {emails} are public. To serve this shop "
            f"without it, run `{_leave_command(settings)}`, which disables these accounts, or sign "
            "in to them and change their passwords."
        )
        raise SettingsError([("--demo", message)])


def _leave_command(settings: Settings) -> str:
    command = ["orderly", "leave-demo"]
    if settings.database_url is None:
        command += ["--data-dir", str(settings.data_dir)]
    return shlex.join(command)


def forbid_reset(settings: Settings) -> None:
    """Delete the marker file: the shop is no longer a demo."""
    (settings.data_dir / _MARKER).unlink(missing_ok=True)
