"""The demo's own data: made by `serve --demo`, so that `serve --demo --reset` may throw it away.

A file in the data directory tells such a shop from one in earnest. It is there from before the
demo is filled until somebody serves the shop without `--demo`.
"""

from __future__ import annotations

from orderly import signing_keys
from orderly.server.provisioning import Provided
from orderly.settings import Settings, SettingsError

_MARK = "demo"
_TEXT = "This shop was made by `orderly serve --demo`; `--demo --reset` throws it away.\n"


def prepare(settings: Settings, provided: Provided, *, reset: bool) -> None:
    """See to a shop that the demo may fill, on an embedded database; reset it where asked to.

    Raises:
        SettingsError: a reset is asked for of a shop that is not the demo's own.
    """
    from database import migrations  # noqa: PLC0415  # not before the address is taken
    from services import demo  # noqa: PLC0415

    mark = settings.data_dir / _MARK
    if reset and mark.exists():
        assert provided.recreate_database is not None  # noqa: S101  # the demo is embedded
        provided.recreate_database()
        if settings.signing_key is None:  # tokens of people who are not there any more
            signing_keys.rotate(settings.data_dir, at_once=True)
    migrations.apply()
    if demo.is_empty():
        mark.write_text(_TEXT)
    elif reset and not mark.exists():
        raise SettingsError(
            [
                (
                    "--reset",
                    f"the shop in {settings.data_dir} was not made by --demo, or was served "
                    "without it: it stays. Choose another --data-dir.",
                )
            ]
        )


def is_served_in_earnest(settings: Settings) -> None:
    """Take note that a shop is served without `--demo`: no reset shall touch it from now on."""
    (settings.data_dir / _MARK).unlink(missing_ok=True)
