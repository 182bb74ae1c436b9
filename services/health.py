"""Whether this process can do its work."""

from __future__ import annotations

from domain.errors import Unavailable
from models import migration


def ready() -> None:
    """Return if the database answers and has every migration that this code needs.

    Raises:
        Unavailable: it does not.
    """
    if migration.pending():
        raise Unavailable
