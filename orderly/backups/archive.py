"""Archives of the shop's tables, in the custom format of `pg_dump`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orderly.backups import programs
from orderly.backups.errors import BackupError
from orderly.embedded.file_lock import try_lock

OnTable = Callable[[str], None]

_MIGRATIONS = "schema_migration"
# A progress message of pg_dump or pg_restore with --verbose.
_TABLE = re.compile(r'(?:dumping contents of|processing data for) table "?[^"]*?\.?"?(\w+)"?$')
# COPY table (columns) FROM stdin; lines of values, separated by tabs; then \.
_COPY = re.compile(rf"^COPY \S*{_MIGRATIONS} \(name,.*?;\n(.*?)^\\\.", re.MULTILINE | re.DOTALL)
_LOCK_WAIT_MILLISECONDS = 10_000


def write(url: str, file: Path, tables: Sequence[str], *, replace: bool, on_table: OnTable) -> None:
    """Write a consistent archive of tables: their state at one moment, while the shop is used.

    The file appears under its name only when it is complete, and only its owner can read it. A
    partial file of an interrupted backup is replaced. `on_table` is called with the name of each
    table before its rows are copied.

    Raises:
        BackupError: the file exists and `replace` is false, or the archive cannot be written.
        Unavailable: the database cannot be reached.
    """
    if file.exists() and not replace:
        raise BackupError(f"{file} exists. Choose another name, or use --replace.")
    with _partial_file(file) as partial:
        programs.run(
            "pg_dump",
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            # Excludes the counters of rate limits, which are in unlogged tables.
            "--no-unlogged-table-data",
            f"--lock-wait-timeout={_LOCK_WAIT_MILLISECONDS}",
            "--verbose",
            f"--file={partial}",
            *(f'--table="{table}"' for table in tables),
            url=url,
            on_line=_table_reporter(on_table),
        )
        partial.replace(file)
        _fsync(file.parent)


def load(url: str, file: Path, *, on_table: OnTable) -> None:
    """Create the tables of an archive in a database, in one transaction.

    Raises:
        BackupError: the file is not an archive, or a table exists.
        Unavailable: the database cannot be reached.
    """
    programs.run(
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--verbose",
        str(file),
        url=url,
        on_line=_table_reporter(on_table),
    )


def migrations(file: Path) -> list[str]:
    """Return the names of the migrations that had been applied to the database of an archive.

    Raises:
        BackupError: the file cannot be read, or is not a backup of a shop.
    """
    try:
        file.open("rb").close()
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}.") from error
    script = programs.run(
        "pg_restore", "--data-only", f"--table={_MIGRATIONS}", "--file=-", str(file)
    )
    rows = _COPY.search(script)
    if rows is None:
        raise BackupError(f"{file} is not a backup of a shop.")
    return [line.partition("\t")[0] for line in rows[1].splitlines()]


@contextmanager
def _partial_file(file: Path) -> Iterator[Path]:
    """Provide a locked file in the directory of `file`, readable only by its owner.

    It is deleted at the end, unless it was renamed.
    """
    partial = file.with_name(f"{file.name}.partial")
    try:
        opened: IO[bytes] = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600), "rb")
    except OSError as error:
        raise BackupError(f"Cannot write {file}: {error.strerror}.") from error
    with opened:
        if not try_lock(opened.fileno()):
            raise BackupError(f"Another backup is writing {file}.")
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)


def _table_reporter(on_table: OnTable) -> programs.OnLine:
    def report(line: str) -> None:
        if match := _TABLE.search(line):
            on_table(match[1])

    return report


def _fsync(directory: Path) -> None:
    """Make a new name in a directory durable. pg_dump has already done this for the contents."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
