"""Archives of the shop's tables, in the custom format of `pg_dump`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from database.restore import TableRows
from orderly.backups import programs
from orderly.backups.errors import BackupError
from orderly.embedded.file_lock import try_lock

OnTable = Callable[[str], None]

_MIGRATIONS = "schema_migration"
# A progress message of pg_dump with --verbose.
_TABLE = re.compile(r'dumping contents of table "?[^"]*?\.?"?(\w+)"?$')
# Lines of the script that pg_restore writes. After COPY, each line is a row, until a line with \.
_ENCODING = re.compile(r"SET client_encoding = '(\w+)';$")
_COPY = re.compile(r'COPY (?:"[^"]+"|\w+)\."?(\w+)"? \((["\w, ]+)\) FROM stdin;$')
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
    with _new_file(file, replace=replace) as new:
        programs.run(
            "pg_dump",
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            # Excludes the counters of rate limits, which are in unlogged tables.
            "--no-unlogged-table-data",
            f"--lock-wait-timeout={_LOCK_WAIT_MILLISECONDS}",
            "--verbose",
            # Not standard output: pg_dump sets O_APPEND there, and then appends the table of
            # contents, with the positions of the tables, instead of replacing it.
            f"--file=/dev/fd/{new.fileno()}",
            "--no-sync",
            *(f'--table="{table}"' for table in tables),
            url=url,
            descriptor=new.fileno(),
            on_line=_table_reporter(on_table),
        )


def migrations(file: Path) -> dict[str, str]:
    """Return the migrations that had been applied to the database of an archive, and checksums.

    Raises:
        BackupError: the file cannot be read, or is not a backup of a shop.
    """
    found: dict[str, str] = {}
    for table in _tables(file, f"--table={_MIGRATIONS}"):
        if table.table == _MIGRATIONS and set(table.columns) >= {"name", "checksum"}:
            for line in table.lines:
                values = line.decode(errors="replace").rstrip("\n").split("\t")
                row = dict(zip(table.columns, values, strict=False))
                found[row.get("name", "")] = row.get("checksum", "")
    if not found or not all(re.fullmatch(r"\w+", name) for name in found):
        raise BackupError(f"{file} is not a backup of a shop.")
    return found


def rows(file: Path, *, on_table: OnTable) -> Iterator[TableRows]:
    """Yield the rows of each table of an archive; read them before the next table.

    `pg_restore` writes the archive as an SQL script, from which only the rows are taken. It is not
    connected to a database, where it would execute any SQL of the archive. `on_table` is called
    with the name of each table before its rows are copied.

    Raises:
        BackupError: the file cannot be read, or is damaged.
    """
    for table in _tables(file):
        on_table(table.table)
        yield table


def _tables(file: Path, *options: str) -> Iterator[TableRows]:
    try:
        file.open("rb").close()
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}.") from error
    encoding = "UTF8"
    arguments = ("--data-only", *options, "--file=-", str(file.absolute()))
    with programs.output("pg_restore", *arguments) as script:
        for line in script:
            text = line.decode(errors="replace")
            if match := _ENCODING.match(text):
                encoding = match[1]
            elif match := _COPY.match(text):
                columns = [column.strip('"') for column in match[2].split(", ")]
                lines = _until_end_of_table(script)
                yield TableRows(match[1], columns, encoding, lines)
                for _ in lines:
                    pass  # what the caller has not read


def _until_end_of_table(script: IO[bytes]) -> Iterator[bytes]:
    for line in script:
        # A damaged archive can end within a line. Then pg_restore fails.
        if line == b"\\.\n" or not line.endswith(b"\n"):
            return
        yield line


@contextmanager
def _new_file(file: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Provide a new file that only its owner can read, and give it its name at the end.

    Others may be able to write to the directory. So an existing partial file is never written to,
    and the new one is only opened by its file descriptor.
    """
    if file.exists() and not replace:
        raise BackupError(f"{file} exists. Choose another name, or use --replace.")
    partial = file.with_name(f"{file.name}.partial")
    try:
        _remove_interrupted(partial, file)
        # O_EXCL also refuses a symbolic link.
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupError(f"Cannot write {file}: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as opened:
        if not try_lock(descriptor):
            raise BackupError(f"Another backup is writing {file}.")
        try:
            yield opened
            os.fsync(descriptor)
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _fsync(file.parent)


def remove_interrupted(directory: Path, pattern: str) -> None:
    """Delete the partial files of interrupted backups whose names match a pattern."""
    for partial in directory.glob(f"{pattern}.partial"):
        with suppress(BackupError):  # another backup is writing it, or it is not one of ours
            _remove_interrupted(partial, partial.with_suffix(""))


def _remove_interrupted(partial: Path, file: Path) -> None:
    """Delete the partial file of an interrupted backup.

    Raises:
        BackupError: another backup is writing it, or it was not created by this module.
        OSError: it cannot be read or deleted.
    """
    try:
        status = partial.lstat()
    except FileNotFoundError:
        return
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_uid != os.geteuid()
        or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        raise BackupError(
            f"{partial} is not a partial backup of yours: it is not a file, belongs to another user"
            " or can be accessed by others. Delete it, or choose a directory that only you can"
            " write to."
        )
    descriptor = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # Only the holder of the lock removes the name, if it is still the name of that file.
        if not try_lock(descriptor) or not os.path.samestat(os.fstat(descriptor), partial.lstat()):
            raise BackupError(f"Another backup is writing {file}.")
        partial.unlink()
    finally:
        os.close(descriptor)


def _table_reporter(on_table: OnTable) -> programs.OnLine:
    def report(line: str) -> None:
        if match := _TABLE.search(line):
            on_table(match[1])

    return report


def _fsync(directory: Path) -> None:
    """Make a new name in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
