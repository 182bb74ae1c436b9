"""Readiness: whether this process can serve requests."""

from __future__ import annotations

from database import migrations
from domain.errors import Unavailable
from services import revocation


def ready() -> None:
    """Return if this process can serve requests.

    The database must respond and have every migration that this code needs. The list of revoked
    sessions must be recent: otherwise every access token is refused.

    Raises:
        Unavailable: one of these conditions does not hold.
    """
    revocation.ready()
    if migrations.pending():
        raise Unavailable
