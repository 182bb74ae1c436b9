"""Restores a shop from an archive, and verifies archives by restoring them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from database import binding
from database.migrations import known_migrations
from database.restore import RowsRefused
from models.row_counts import RowCounts
from orderly.backups import archive
from orderly.backups.archive import OnTable
from orderly.backups.errors import BackupError
from services import schema
from services.audit import Finding, audit


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """The number of restored rows, and the violated invariants."""

    row_counts: RowCounts
    findings: list[Finding]

    @property
    def summary(self) -> str:
        """The numbers of users, products and orders, for a sentence."""
        counts = self.row_counts
        return f"{counts.users} users, {counts.products} products, {counts.orders} orders"


def restore(url: str, owner_url: str | None, file: Path, *, on_table: OnTable) -> RestoreResult:
    """Restore an archive into a database that has no tables of a shop, or only empty ones.

    `owner_url` is the URL of the role that owns the tables; None if the role of `url` does.
    Only rows are read from the archive: the migrations create the tables, and those that are newer
    than the archive are applied afterwards. If this process is killed, the same call can be
    repeated. The services are bound to the database afterwards.

    Raises:
        BackupError: the file is not a backup of a shop, was changed, or was made by a newer
            version.
        ShopNotEmpty: there are users, products or orders.
        DatabaseInUse: there are other connections to the database.
        Unavailable: the database cannot be reached.
    """
    last_migration = _last_migration(file, archive.migrations(file))
    rows = archive.rows(file, on_table=on_table)
    try:
        schema.create_for_restore(owner_url or url, rows, last_migration=last_migration)
    except RowsRefused as error:
        raise BackupError(f"{file} is not a backup that Orderly wrote: {error}.") from error
    binding.bind(url, max_connections=1)
    schema.migrate(owner_url=owner_url)
    return RestoreResult(schema.count_rows(), audit())


def _last_migration(file: Path, applied: Mapping[str, str]) -> str:
    """Return the last of the migrations of an archive.

    Raises:
        BackupError: they are not the first migrations of this version.
    """
    known = known_migrations()
    if unknown := sorted(set(applied) - set(known)):
        raise BackupError(
            f"{file} was made by a newer version of Orderly (migration {unknown[0]}). Install that "
            "version, and restore again."
        )
    first = dict(islice(known.items(), len(applied)))
    if different := [name for name, checksum in first.items() if applied.get(name) != checksum]:
        raise BackupError(f"{file} was made with another migration {different[0]}.")
    return list(first)[-1]


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
