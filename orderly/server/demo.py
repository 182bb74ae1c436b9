"""Prepares the shop of `serve --demo`, and resets it with `serve --demo --reset`.

A marker file in the data directory says that the shop may be reset. It exists from before the
example data is added until the shop is first served without `--demo`.
"""

from __future__ import annotations

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
    from database import migrations  # noqa: PLC0415  # not before the address is taken
    from services import demo  # noqa: PLC0415

    marker = settings.data_dir / _MARKER
    if reset and marker.exists():
        assert database.recreate is not None  # noqa: S101  # the demo's database is embedded
        database.recreate()
        if settings.signing_key is None:  # access tokens of deleted users must not verify
            signing_keys.rotate(settings.data_dir, at_once=True)
    migrations.apply()
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


def forbid_reset(settings: Settings) -> None:
    """Delete the marker file: the shop is served without `--demo`, so it is no longer a demo."""
    (settings.data_dir / _MARKER).unlink(missing_ok=True)
