"""Whether this process can do its work."""

from __future__ import annotations

from database import migrations
from domain.errors import Unavailable
from services import revocation


def ready() -> None:
    """Return if the database answers and has every migration that this code needs.

    And if what it tells of sessions that have ended is known here: until then whoever is signed in
    is sent away.

    Raises:
        Unavailable: one of these is not so.
    """
    revocation.ready()
    if migrations.pending():
        raise Unavailable
