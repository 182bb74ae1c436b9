"""A database cluster on disk: where its parts are, how it is made, and who may be using it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from orderly.embedded.errors import (
    DataDirectoryInUseError,
    StartFailedError,
    UnusableDirectoryError,
)
from orderly.embedded.leftovers import is_running
from orderly.embedded.programs import command, program

USER = DATABASE = "orderly"
# Said on both sides, or PGPORT in the environment would say it.
PORT = "5432"

# A process that was killed while it started a program holds the lock until that has begun; one
# that has just got it has not written its number yet.
_LOCK_PATIENCE_SECONDS = 1.0
# sockaddr_un holds 108 bytes with the final NUL on Linux, 104 elsewhere.
_LONGEST_SOCKET_PATH = 103
# PostgreSQL and libpq both take a comma between directories, and each has its own quoting.
_PLAIN_PATH = re.compile(r"[\w/.+~@%=: -]+", re.ASCII)


class Cluster:
    """The files of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.directory = data_dir / "postgresql"
        self.log = data_dir / "postgresql.log"
        self._password = data_dir / "postgresql-password"
        self._socket_note = data_dir / "postgresql-socket"
        self._lock_file = data_dir / "lock"
        self._temporary: Path | None = None

    def lock(self) -> IO[str]:
        """Return the locked lock file; the lock goes with the process, however that ends.

        Raises:
            DataDirectoryInUseError: another process holds it.
            UnusableDirectoryError: the directory cannot be made or written to.
        """
        if "\n" in str(self.data_dir):
            raise UnusableDirectoryError("PostgreSQL cannot keep data in a path of several lines.")
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._lock_file.open("a+", errors="replace")
        except OSError as error:
            raise UnusableDirectoryError.because(self.data_dir, error) from error
        try:
            self._take(file)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except BaseException:
            file.close()
            raise
        return file

    def _take(self, lock_file: IO[str]) -> None:
        import fcntl  # noqa: PLC0415  # only where there is an embedded PostgreSQL

        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock_file.seek(0)
                holder = lock_file.read().strip()
                pid = int(holder) if holder.isdecimal() else None
                if (pid is not None and is_running(pid)) or time.monotonic() > deadline:
                    raise DataDirectoryInUseError(self.data_dir, pid) from error
                time.sleep(0.01)
            except OSError as error:  # a file system that has no locks
                raise UnusableDirectoryError.because(self.data_dir, error) from error
            else:
                return

    def create(self, *, fsync: bool) -> None:
        """Make the cluster where there is none yet.

        It is made beside its place and moved there when it is whole: a crash meanwhile leaves
        nothing that the next start would take for a database.

        Raises:
            UnusableDirectoryError: what is there is not a cluster of this version, or lacks its
                password.
            StartFailedError: initdb failed.
        """
        for stale in self.data_dir.glob("postgresql.new-*"):
            # An initdb whose parent was killed may be clearing up in it still: next time, then.
            shutil.rmtree(stale, ignore_errors=True)
        if self.directory.exists():
            self._check()
            return
        self._write_private(self._password, secrets.token_urlsafe(32), fsync=fsync)
        new = Path(tempfile.mkdtemp(prefix="postgresql.new-", dir=self.data_dir))
        done = subprocess.run(  # noqa: S603  # PostgreSQL from this environment
            command(
                "initdb",
                f"--pgdata={new}",
                f"--username={USER}",
                f"--pwfile={self._password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                *([] if fsync else ["--no-sync"]),
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise StartFailedError(f"initdb failed:\n{done.stderr.strip()}")
        new.rename(self.directory)
        if fsync:
            _write_through(self.data_dir)

    def _check(self) -> None:
        ours = subprocess.run(  # noqa: S603
            [program("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        try:
            theirs = (self.directory / "PG_VERSION").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            raise UnusableDirectoryError(
                f"{self.directory} is not a database of PostgreSQL: move it away, or choose "
                "another --data-dir."
            ) from None
        if theirs != ours.partition(".")[0]:
            raise UnusableDirectoryError(
                f"{self.directory} was made by PostgreSQL {theirs}; this is {ours}. Bring the data "
                "over with pg_dump of the old version, or choose another --data-dir."
            )
        if not self._password.exists() or self._password.stat().st_size == 0:
            raise UnusableDirectoryError(
                f"{self._password}, the password of the database beside it, is lost: bring it "
                "back from where the database comes from, or choose another --data-dir."
            )

    def make_socket_directory(self) -> Path:
        """Return a directory of our own for the socket, whose path is fit for one."""
        self.remove_socket_directory()
        directory = self.data_dir / "socket"
        if _can_hold_socket(directory):
            shutil.rmtree(directory, ignore_errors=True)  # of a start that was killed
            directory.mkdir(mode=0o700)
        else:
            directory = self._make_temporary()
        self._write_private(self._socket_note, str(directory))
        return directory

    def _make_temporary(self) -> Path:
        if self._temporary is not None:
            try:  # again where it was, so that a restart does not change the URL
                self._temporary.mkdir(mode=0o700)
            except OSError:
                pass  # somebody has taken the name
            else:
                return self._temporary
        base = Path(tempfile.gettempdir())
        if not _can_hold_socket(base / "orderly-12345678"):
            base = Path("/tmp")  # noqa: S108  # mkdtemp makes a new one, for us alone
        self._temporary = Path(tempfile.mkdtemp(prefix="orderly-", dir=base))
        return self._temporary

    def remove_socket_directory(self) -> None:
        """Remove what an earlier start has left, if any."""
        directory = _read(self._socket_note)
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
        self._socket_note.unlink(missing_ok=True)

    def url(self, database: str = DATABASE) -> str | None:
        """Return how to connect to the running server; None where none is running."""
        password, directory = _read(self._password), _read(self._socket_note)
        if not password or not directory:
            return None
        host = quote(os.fsencode(directory), safe="")
        return f"postgresql://{USER}:{quote(password, safe='')}@/{database}?host={host}&port={PORT}"

    def _write_private(self, file: Path, text: str, *, fsync: bool = False) -> None:
        # Replaced as a whole, and never readable by others, not even for a moment.
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(os.fsencode(text))
            opened.flush()
            if fsync:
                os.fsync(descriptor)
        temporary.rename(file)


def _can_hold_socket(directory: Path) -> bool:
    path = str(directory / f".s.PGSQL.{PORT}")
    return len(path) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(path) is not None


def _read(file: Path) -> str | None:
    try:
        return os.fsdecode(file.read_bytes())
    except FileNotFoundError:
        return None


def _write_through(directory: Path) -> None:
    """Have the names in a directory survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
