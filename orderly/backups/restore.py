"""Restores a shop from an archive, and verifies archives by restoring them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from database import binding
from database.migrations import known_migrations
from models.contents import Contents
from orderly.backups import archive
from orderly.backups.archive import OnTable
from orderly.backups.errors import BackupError
from services import schema
from services.audit import Finding, audit


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """The number of restored rows, and the violated invariants."""

    contents: Contents
    findings: list[Finding]


def restore(url: str, owner_url: str | None, file: Path, *, on_table: OnTable) -> RestoreResult:
    """Restore an archive into a database that has no tables of a shop, or only empty ones.

    `owner_url` is the URL of the role that owns the tables; None if the role of `url` does.
    Migrations that are newer than the archive are applied. If this process is killed, the same call
    can be repeated. The services are bound to the database afterwards.

    Raises:
        BackupError: the file is not a backup of a shop, or was made by a newer version.
        ShopNotEmpty: there are users, products or orders.
        DatabaseInUse: there are other connections to the database.
        Unavailable: the database cannot be reached.
    """
    unknown = sorted(set(archive.migrations(file)) - set(known_migrations()))
    if unknown:
        raise BackupError(
            f"{file} was made by a newer version of Orderly (migration {unknown[0]}). Install that "
            "version, and restore again."
        )
    schema.prepare_restore(owner_url or url)
    archive.load(owner_url or url, file, on_table=on_table)
    binding.bind(url, max_connections=1)
    schema.migrate(owner_url=owner_url)
    return RestoreResult(schema.contents(), audit())


def verify(file: Path, *, account: str | None, on_table: OnTable) -> RestoreResult:
    """Restore an archive into a temporary PostgreSQL server, and audit it there.

    As root, that server runs as the system user `account`.

    Raises:
        BackupError: the file cannot be restored.
        EmbeddedDatabaseError: the temporary server cannot run.
    """
    from orderly.embedded import EmbeddedPostgreSQL  # noqa: PLC0415  # missing on some systems

    with tempfile.TemporaryDirectory(prefix="orderly-verify-") as directory:
        server = EmbeddedPostgreSQL(Path(directory) / "data", account=account, fsync=False)
        try:
            owner_url = server.start()
            return restore(server.runtime_url, owner_url, file, on_table=on_table)
        finally:
            binding.close()
            server.stop()
