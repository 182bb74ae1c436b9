"""Applies schema migrations. Several processes can start at the same time: only one migrates."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
from peewee import PeeweeException, TextField, fn
from playhouse.migrations import Migration, MigrationError, Runner

from database.binding import ShopDatabase, database, set_pool
from database.connection import Connector
from database.table import InstantField, Table, primary_key
from database.transactions import autocommit, domain_error
from domain.errors import Unavailable

DIRECTORY = Path(__file__).parent.parent / "migrations"

# The key of the advisory lock: an arbitrary number that all versions of the application share.
_LOCK_KEY = 0x0DE2_1700
_POLL_SECONDS = 0.1
_CONNECT_SECONDS = 5.0


class MigrationChanged(MigrationError):  # noqa: N818  # named after what is wrong
    """The file of a migration was edited after the migration was applied."""


class MigrationForbidden(MigrationError):  # noqa: N818  # named after what is wrong
    """The database role lacks the privileges to apply migrations."""


class MigrationTable(Table):
    """Applied migrations, with a checksum of the file."""

    name = TextField()
    checksum = TextField()
    applied_at = InstantField()

    class Meta:
        """The table's name and constraints."""

        table_name = "schema_migration"
        constraints = (primary_key("pk_schema_migration", "name"),)


def apply(
    progress: Callable[[str], None] | None = None,
    *,
    url: str | None = None,
    last: str | None = None,
    directory: Path = DIRECTORY,
    lock_timeout: float = 5.0,
    wait_seconds: float = 600.0,
) -> list[str]:
    """Apply pending migrations to the bound database, in order, and return their names.

    `url` is the URL of the same database with another role, the owner of its tables. `last` is the
    last migration to apply, for a restore of an older backup.

    Each migration is one transaction, unless its module sets `atomic = False`. It waits for a
    table lock at most `lock_timeout` seconds, since later queries on the table wait behind it. If
    another process is migrating, this process waits at most `wait_seconds` for it. `progress` is
    called with the name of each migration after it was applied.

    Raises:
        MigrationChanged: the file of an applied migration was edited.
        Unavailable: the database cannot be reached, a lock timed out, or the other process took
            too long.
    """
    try:
        with _migration_database(url or database.database, wait_seconds) as target:
            names: list[str] = _Runner(target, directory, lock_timeout, progress).up(last)
            return names
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    except PeeweeException as error:
        translated = domain_error(error)
        if isinstance(translated, Unavailable):
            raise translated from error
        raise


def known_migrations(directory: Path = DIRECTORY) -> dict[str, str]:
    """Return the checksums of all migrations of this version by name, in order."""
    return {
        migration.name: _checksum(migration.path)
        for migration in Migration.load_directory(str(directory))
    }


def revert(*, directory: Path = DIRECTORY, lock_timeout: float = 5.0) -> list[str]:
    """Revert the last migration and return its name. For development: this deletes data."""
    with _migration_database(database.database, wait_seconds=0) as target:
        names: list[str] = _Runner(target, directory, lock_timeout, None).down()
        return names


@autocommit
def pending(*, directory: Path = DIRECTORY) -> list[str]:
    """Return the names of the migrations that were not applied to the bound database, in order.

    Raises:
        Unavailable: the database cannot be reached.
    """
    applied = _checksums(database)
    migrations = Migration.load_directory(str(directory))
    return [migration.name for migration in migrations if migration.name not in applied]


class _Runner(Runner):
    """Peewee's migration runner, extended by checksums, progress and a lock timeout."""

    def __init__(
        self,
        target: ShopDatabase,
        directory: Path,
        lock_timeout: float,
        progress: Callable[[str], None] | None,
    ) -> None:
        super().__init__(target, str(directory))
        self._lock_timeout = lock_timeout
        self._progress = progress

        class History(MigrationTable):
            """The same table, bound to the database of this runner."""

            class Meta:
                """The database and the table's name."""

                database = target
                table_name = "schema_migration"

        self.History: Any = History

    def applied(self) -> dict[str, Any]:
        """Return the checksums of the applied migrations by name.

        Raises:
            MigrationChanged: the checksum of an applied migration's file has changed.
        """
        checksums = _checksums(self.database)
        for migration in self.migrations():
            known = checksums.get(migration.name)
            if known is not None and known != _checksum(migration.path):
                raise MigrationChanged(
                    f"{migration.name} was edited after it had been applied: restore the file, and"
                    " make the change in a new migration"
                )
        return checksums

    def _run(self, name: str, module: Any, direction: str, fake: bool = False) -> None:
        assert not fake  # noqa: S101  # Peewee's option, which is not used here
        atomic = getattr(module, "atomic", True)
        with self.migrator.migration_context(atomic):
            if atomic:
                self.database.execute_sql(
                    "SELECT set_config('lock_timeout', %s, true)",
                    (str(round(self._lock_timeout * 1000)),),
                )
            getattr(module, direction)(self.migrator, self.database)
            if direction == "up":
                self.History.insert(
                    name=name,
                    checksum=_checksum(str(Path(self.directory) / f"{name}.py")),
                    applied_at=fn.now(),
                ).execute()
            else:
                self.History.delete().where(self.History.name == name).execute()
        if self._progress is not None:
            self._progress(name)


@contextmanager
def _migration_database(url: str, wait_seconds: float) -> Iterator[ShopDatabase]:
    """Hold the migration lock; provide a database with one connection and no statement timeout."""
    connect = Connector(
        url,
        connect_timeout=_CONNECT_SECONDS,
        statement_timeout=0,
        lock_timeout=0,
    )
    with _migration_lock(connect, wait_seconds):
        target = ShopDatabase()
        set_pool(target, connect, url=url, max_connections=1, checkout_timeout=1)
        try:
            with target.connection_context():
                yield target
        finally:
            if target.pool is not None:
                target.pool.close()


@contextmanager
def _migration_lock(connect: Callable[[], Any], wait_seconds: float) -> Iterator[None]:
    """Hold the advisory lock that only one migrating process can hold.

    Polls for the lock: a query that waits for it would hold a snapshot, and CREATE INDEX
    CONCURRENTLY waits for all older snapshots. The lock is bound to a transaction on its own
    connection: this also works through a pooler in transaction mode, and the lock is released when
    the process ends, even by SIGKILL.
    """
    connection = connect()
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        deadline = time.monotonic() + wait_seconds
        while True:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK_KEY,))
            if cursor.fetchone() == (True,):
                break
            if time.monotonic() >= deadline:
                raise Unavailable
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        # Without this, the server releases the lock only some time after the connection is closed.
        with suppress(psycopg2.Error):  # the connection may be lost
            connection.cursor().execute("ROLLBACK")
        connection.close()


def _checksums(target: ShopDatabase) -> dict[str, str]:
    exists = target.execute_sql("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
    if exists != (True,):
        return {}
    rows = target.execute_sql("SELECT name, checksum FROM schema_migration").fetchall()
    return dict(rows)


def _checksum(path: str) -> str:
    # Normalise line endings: git may check out the file with CRLF.
    text = Path(path).read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(text).hexdigest()
