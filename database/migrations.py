"""Brings the schema up to what this code expects, also when several processes start at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from peewee import PeeweeException, TextField, fn
from playhouse.migrations import Migration, MigrationError, Runner

from database.binding import ShopDatabase, database, point
from database.connection import open_connection
from database.table import InstantField, Table, primary_key
from database.transactions import autocommit, domain_error
from domain.errors import Unavailable

DIRECTORY = Path(__file__).parent.parent / "migrations"

# Any number will do, as long as every version of the application takes the same.
_LOCK = 0x0DE2_1700
_POLL_SECONDS = 0.1
_CONNECT_SECONDS = 10.0


class MigrationChanged(MigrationError):  # noqa: N818  # says what is wrong
    """A migration that was applied is not the file any more that it was applied from."""


class MigrationTable(Table):
    """A migration that was applied, and what its file was then."""

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
    directory: Path = DIRECTORY,
    lock_timeout: float = 5.0,
    patience: float = 600.0,
) -> list[str]:
    """Apply what is pending on the bound database, in order, and return the names.

    Each migration is a transaction of its own, unless it says `atomic = False`. It gives up
    waiting for a lock on a table after `lock_timeout` seconds, since everybody else would queue
    up behind it. Another process that is migrating is waited for, `patience` seconds at most.
    `progress` is told each name when it has been applied.

    Raises:
        MigrationChanged: a file was edited after it had been applied.
        Unavailable: the database cannot be reached, a lock was not to be had, or the other
            process took too long.
    """
    try:
        with _migrating(patience) as connected:
            names: list[str] = _Runner(connected, directory, lock_timeout, progress).up()
            return names
    except psycopg2.OperationalError as error:
        raise Unavailable from error
    except PeeweeException as error:
        meaning = domain_error(error)
        if isinstance(meaning, Unavailable):
            raise meaning from error
        raise


def revert(*, directory: Path = DIRECTORY, lock_timeout: float = 5.0) -> list[str]:
    """Take the last migration back and return its name: for development, since data goes too."""
    with _migrating(0) as connected:
        names: list[str] = _Runner(connected, directory, lock_timeout, None).down()
        return names


@autocommit
def pending(*, directory: Path = DIRECTORY) -> list[str]:
    """Return the names of the migrations that the bound database lacks, in order.

    Raises:
        Unavailable: the database cannot be reached.
    """
    applied = _checksums(database)
    return [one.name for one in Migration.load_directory(str(directory)) if one.name not in applied]


class _Runner(Runner):
    """Peewee's runner, which also remembers what each file was."""

    def __init__(
        self,
        connected: ShopDatabase,
        directory: Path,
        lock_timeout: float,
        progress: Callable[[str], None] | None,
    ) -> None:
        super().__init__(connected, str(directory))
        self._lock_timeout = lock_timeout
        self._progress = progress

        class History(MigrationTable):
            """The same table, reached over this connection."""

            class Meta:
                """Where and what it is."""

                database = connected
                table_name = "schema_migration"

        self.History: Any = History

    def applied(self) -> dict[str, Any]:
        """Return the checksums of what was applied, having looked whether the files still agree."""
        checksums = _checksums(self.database)
        for migration in self.migrations():
            known = checksums.get(migration.name)
            if known is not None and known != _checksum(migration.path):
                raise MigrationChanged(
                    f"{migration.name} was edited after it had been applied: put it back as it"
                    " was, and make the change in a new migration"
                )
        return checksums

    def _run(self, name: str, module: Any, direction: str, fake: bool = False) -> None:
        assert not fake  # noqa: S101  # nobody here asks for that
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
def _migrating(patience: float) -> Iterator[ShopDatabase]:
    """Give a database of one connection without time limits, while nobody else migrates."""
    connect = partial(
        open_connection,
        database.database,
        connect_timeout=_CONNECT_SECONDS,
        statement_timeout=0,
        lock_timeout=0,
    )
    with _alone(connect, patience):
        migrating = ShopDatabase()
        point(migrating, connect, url=database.database, max_connections=1, checkout_timeout=1)
        try:
            with migrating.connection_context():
                yield migrating
        finally:
            if migrating.pool is not None:
                migrating.pool.close()


@contextmanager
def _alone(connect: Callable[[], Any], patience: float) -> Iterator[None]:
    """Hold the lock that says who migrates.

    It is polled: a process that waited inside the database for the lock would hold a snapshot,
    for which CREATE INDEX CONCURRENTLY waits in turn. It belongs to a transaction, on a
    connection of its own, so that it needs no session of PostgreSQL's (as a pooler gives none)
    and ends with the process, however that ends.
    """
    holder = connect()
    try:
        cursor = holder.cursor()
        cursor.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        deadline = time.monotonic() + patience
        while True:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,))
            if cursor.fetchone() == (True,):
                break
            if time.monotonic() >= deadline:
                raise Unavailable
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        holder.close()


def _checksums(connected: ShopDatabase) -> dict[str, str]:
    known = connected.execute_sql("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
    if known != (True,):
        return {}
    rows = connected.execute_sql("SELECT name, checksum FROM schema_migration").fetchall()
    return dict(rows)


def _checksum(path: str) -> str:
    # However git has written the line ends.
    text = Path(path).read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(text).hexdigest()
