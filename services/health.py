"""Readiness: whether this process can serve requests, and the shop can take orders."""

from __future__ import annotations

from typing import Final

from database import migrations, server_state
from domain.errors import NotReady, Unavailable
from services import process, revocation, workers

# docs/operations/readiness.md describes each reason.
STOPPING: Final = "stopping"
DATABASE_UNAVAILABLE: Final = "database_unavailable"
DATABASE_READ_ONLY: Final = "database_read_only"
DATABASE_DISK_FULL: Final = "database_disk_full"
MIGRATIONS_PENDING: Final = "migrations_pending"
WORKER_MISSING: Final = "worker_missing"
SESSIONS_NOT_LOADED: Final = "sessions_not_loaded"
REASONS: Final = (
    STOPPING,
    DATABASE_UNAVAILABLE,
    DATABASE_READ_ONLY,
    DATABASE_DISK_FULL,
    MIGRATIONS_PENDING,
    WORKER_MISSING,
    SESSIONS_NOT_LOADED,
)


def ready() -> None:
    """Return if this process can serve requests, and orders can be placed.

    The process must not be stopping. The database must respond, accept writes, have space on its
    disk, and have every migration that this code needs. A worker must run if the settings say
    so. The list of revoked sessions must be recent: otherwise every access token is refused.

    Raises:
        NotReady: one of these conditions does not hold.
    """
    if process.is_stopping():
        raise NotReady(STOPPING)
    try:
        if server_state.check().is_read_only:
            raise NotReady(DATABASE_READ_ONLY)
        if server_state.is_disk_full():
            raise NotReady(DATABASE_DISK_FULL)
        if migrations.pending():
            raise NotReady(MIGRATIONS_PENDING)
        if workers.is_missing():
            raise NotReady(WORKER_MISSING)
    except NotReady:
        raise
    except Unavailable as error:
        raise NotReady(DATABASE_UNAVAILABLE) from error
    try:
        revocation.ready()
    except Unavailable as error:
        raise NotReady(SESSIONS_NOT_LOADED) from error
