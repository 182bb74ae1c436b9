"""Moves the shop of a data directory from another major version of PostgreSQL to the embedded one.

The files in the data directory, step by step:

1. A server of the old version reads `postgresql`; pg_dump of the new version writes a backup to
   `postgresql-upgrade/shop.backup`. The server is stopped.
2. A server of the new version restores the backup into `postgresql-upgrade/postgresql`. The shop is
   audited there. The server is stopped.
3. `postgresql-upgrade` is renamed to `postgresql-upgraded`, `postgresql` to `postgresql-15`, and
   `postgresql-upgraded/postgresql` to `postgresql`.

Until the second rename the old cluster has its name, and whatever else exists is removed by the
next try. After it, the next start of any command does the third one (`finish_upgrade`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from database import binding
from database.connection import connect_as_owner
from orderly.backups import archive
from orderly.backups.archive import OnTable
from orderly.backups.errors import UpgradeError
from orderly.backups.restore import RestoreResult, restore
from orderly.embedded import EmbeddedPostgreSQL, UnusableDirectoryError
from orderly.embedded.cluster import (
    check_cluster,
    check_password,
    cluster_version,
    finish_upgrade,
    replace_cluster,
)
from orderly.embedded.data_directory import DATABASE, DataDirectory
from orderly.embedded.disk_space import is_disk_full
from orderly.embedded.log_file import LogFile
from orderly.embedded.old_server import find_old_programs, run_old_server
from orderly.embedded.programs import installed_version
from orderly.embedded.run_as import choose_user
from services import schema

# A new cluster without data, and its first WAL segments.
_EMPTY_CLUSTER_BYTES = 64 << 20

_HAS_SHOP = "SELECT to_regclass('schema_migration') IS NOT NULL"
_SIZE = "SELECT pg_database_size(current_database())"
_NOT_MOVED = """
    SELECT 'database ' || datname FROM pg_database
    WHERE NOT datistemplate AND datname NOT IN ('postgres', current_database())
    UNION ALL
    SELECT 'table ' || oid::regclass FROM pg_class
    WHERE relkind IN ('r', 'p', 'm') AND relname <> ALL(%s)
        AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND relnamespace <> 'pg_toast'::regnamespace
    ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """What was moved, and where the old cluster is kept."""

    old_version: int
    restored: RestoreResult
    # Names of databases and tables that are not Orderly's. They are only in the old cluster.
    not_moved: list[str]
    old_cluster: Path


def upgrade(
    data_dir: Path,
    *,
    account: str | None,
    old_programs: Path | None,
    accept_findings: bool,
    on_table: OnTable,
) -> UpgradeResult | None:
    """Move the shop to the embedded PostgreSQL's major version; None if it already has it.

    `old_programs` is the directory of the programs of the other version; None: they are looked for
    where packages install them. As root, PostgreSQL runs as the system user `account`. If this
    process is killed, the same call can be repeated.

    Raises:
        UpgradeError: the message says why. Unless `accept_findings`, also if the audit finds
            violations in the moved data.
        EmbeddedDatabaseError: the data directory is in use, cannot be used, or was created by a
            newer version; or there are no programs of its version.
        BackupError, Unavailable: the data cannot be read or restored.
    """
    directory = DataDirectory(data_dir.absolute())
    if not directory.cluster.exists() and not directory.upgraded.exists():
        raise UnusableDirectoryError(f"There is no shop in {directory.path}.")
    with directory.lock():
        finish_upgrade(directory)
        old_version = cluster_version(directory)
        if old_version >= installed_version():
            check_cluster(directory)
            return None
        upgrading = _Upgrade(directory, old_version, account, on_table)
        upgrading.check()
        programs = find_old_programs(old_version, old_programs)
        with upgrading.staging() as staging:
            not_moved = upgrading.dump(staging, programs)
            restored = upgrading.restore(staging)
            if restored.findings and not accept_findings:
                raise UpgradeError(_describe(restored))
            replace_cluster(directory, old_version)
    kept = directory.cluster_before_upgrade(old_version)
    return UpgradeResult(old_version, restored, not_moved, kept)


class _Upgrade:
    def __init__(
        self, directory: DataDirectory, old_version: int, account: str | None, on_table: OnTable
    ) -> None:
        self._directory = directory
        self._old_version = old_version
        self._account = account
        self._on_table = on_table

    def check(self) -> None:
        check_password(self._directory)
        kept = self._directory.cluster_before_upgrade(self._old_version)
        if kept.exists():
            raise UpgradeError(
                f"{kept} exists: an earlier upgrade has kept it. Delete it or move it elsewhere."
            )

    @contextmanager
    def staging(self) -> Iterator[DataDirectory]:
        """Provide a data directory for the new cluster; remove it if the block raises."""
        staging = DataDirectory(self._directory.upgrade)
        try:
            staging.path.mkdir(mode=0o700)
            staging.copy_password_of(self._directory)
            yield staging
        except (UpgradeError, KeyboardInterrupt):
            finish_upgrade(self._directory)
            raise
        except BaseException as error:
            log = LogFile(staging.log).read_from(0) if staging.log.exists() else ""
            is_full = is_disk_full(self._directory.path, error, log)
            finish_upgrade(self._directory)
            if is_full:
                raise UpgradeError(
                    f"The disk of {self._directory.path} is full. Nothing was changed. Free space, "
                    "and run the command again."
                ) from error
            raise

    def dump(self, staging: DataDirectory, programs: Path) -> list[str]:
        """Write a backup of the old cluster; return the names of what is not in it."""
        run_as = choose_user(self._account)
        with run_old_server(self._directory, staging, programs, run_as) as url:
            not_moved = self._examine(url)
            archive.write(
                url,
                _backup(staging),
                schema.tables(),
                replace=False,
                on_table=self._on_table,
            )
        return not_moved

    def _examine(self, url: str) -> list[str]:
        """Return the names of tables and databases that are not Orderly's.

        Raises:
            UpgradeError: there is no shop, or not enough disk space.
        """
        try:
            connection = connect_as_owner(url)
        except psycopg2.OperationalError as error:
            reason = str(error).strip().rpartition("FATAL:")[2].strip()
            raise UpgradeError(
                f"The shop in {self._directory.cluster} cannot be read: {reason}."
            ) from error
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(_HAS_SHOP)
            if cursor.fetchone() != (True,):
                raise UpgradeError(
                    f"The database {DATABASE} in {self._directory.cluster} has no tables of a shop."
                )
            cursor.execute(_SIZE)
            ((size,),) = cursor.fetchall()
            self._check_space(size + _EMPTY_CLUSTER_BYTES)
            cursor.execute(_NOT_MOVED, (schema.tables(),))
            return [name for (name,) in cursor.fetchall()]

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._directory.path).free
        if free < needed:
            raise UpgradeError(
                f"The new database needs about {_mebibytes(needed)} in {self._directory.path}, and "
                f"{_mebibytes(free)} are free. Nothing was changed. Free space, and run the command"
                " again."
            )

    def restore(self, staging: DataDirectory) -> RestoreResult:
        """Restore the backup into a new cluster, and audit it."""
        server = EmbeddedPostgreSQL(staging.path, account=self._account)
        try:
            owner_url = server.start()
            file = _backup(staging)
            return restore(server.runtime_url, owner_url, file, on_table=self._on_table)
        finally:
            binding.close()
            server.stop()


def _backup(staging: DataDirectory) -> Path:
    return staging.path / "shop.backup"


def _describe(restored: RestoreResult) -> str:
    findings = "\n".join(
        f"{finding.invariant}: {finding.subject}: {finding.detail}" for finding in restored.findings
    )
    return (
        f"{findings}\nThe shop's data has these violations. Nothing was changed. To upgrade "
        "anyway, add --accept-findings."
    )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
