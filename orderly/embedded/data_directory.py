"""The files in the data directory: the lock, the cluster, its password, the socket and the log.

`orderly.backups.upgrade` says what the directories of an upgrade contain.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from orderly.embedded.errors import DataDirectoryInUseError, UnusableDirectoryError
from orderly.embedded.file_lock import try_lock
from orderly.embedded.orphans import is_running
from orderly.file_permissions import why_directory_unsafe, why_unsafe

DATABASE = "orderly"
# The superuser, who owns the tables; and the role that serves requests.
OWNER = "orderly"
RUNTIME = "orderly_runtime"
# Part of the socket's file name. Server and clients set it explicitly, so that PGPORT is ignored.
PORT = "5432"

# Another process may hold the lock for a short time without using the directory: the child of a
# killed process, between fork and exec. Or the new holder has not written its process id yet.
_LOCK_TIMEOUT_SECONDS = 1.0
# sockaddr_un.sun_path has 108 bytes on Linux, 104 elsewhere, including the final NUL.
_LONGEST_SOCKET_PATH = 103
# PostgreSQL and libpq interpret the path as a list of directories, with different quoting rules. So
# only paths that need no quoting are used.
_UNQUOTED_PATH = re.compile(r"[\w/.+~@%=: -]+", re.ASCII)


class DataDirectory:
    """The paths of one data directory, and the files that this process writes there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cluster = path / "postgresql"
        self.log = path / "postgresql.log"
        self.password = path / "postgresql-password"
        self.runtime_password = path / "postgresql-runtime-password"
        self.server_lock = path / "postgresql-lock"
        self.upgrade = path / "postgresql-upgrade"
        self.upgraded = path / "postgresql-upgraded"
        self._socket_path = path / "postgresql-socket"
        self._lock_file = path / "lock"
        self._temporary_socket_directory: Path | None = None

    def cluster_before_upgrade(self, version: int) -> Path:
        """Return the path under which an upgrade keeps the cluster of an older major version."""
        return self.path / f"postgresql-{version}"

    def lock(self) -> IO[str]:
        """Return the locked lock file. The lock ends when the file is closed or the process ends.

        Raises:
            DataDirectoryInUseError: another process holds the lock.
            UnusableDirectoryError: the directory cannot be created or written to, or another user
                can write to it.
        """
        if "\n" in str(self.path):
            raise UnusableDirectoryError("The data directory's path must not contain newlines.")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_files_of_others()
            file = self._lock_file.open("a+", errors="replace")
        except OSError as error:
            raise UnusableDirectoryError.from_os_error(self.path, error) from error
        try:
            self._wait_for_lock(file)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except OSError as error:
            with suppress(OSError):  # it tries to write again
                file.close()
            raise UnusableDirectoryError.from_os_error(self.path, error) from error
        except BaseException:
            file.close()
            raise
        return file

    def _refuse_files_of_others(self) -> None:
        """Raise `UnusableDirectoryError` if another user could have written to the directory."""
        if reason := why_directory_unsafe(self.path):
            raise UnusableDirectoryError(reason)
        for file in (self.password, self.runtime_password):
            # The password can belong to the account that PostgreSQL runs as (`run_as`).
            check_owner = file != self.password
            if file.exists() and (reason := why_unsafe(file, file.stat(), check_owner=check_owner)):
                raise UnusableDirectoryError(
                    f"{reason}. If you trust its content, make the user of orderly its owner, and "
                    f"remove the permissions of others: chmod 0600 {file}"
                )

    def _wait_for_lock(self, file: IO[str]) -> None:
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while True:
            try:
                if try_lock(file.fileno()):
                    return
            except OSError as error:  # the file system does not support locks
                raise UnusableDirectoryError.from_os_error(self.path, error) from error
            file.seek(0)
            holder = file.read().strip()
            pid = int(holder) if holder.isdecimal() else None
            if (pid is not None and is_running(pid)) or time.monotonic() > deadline:
                raise DataDirectoryInUseError(self.path, pid)
            time.sleep(0.01)

    def create_password(self, *, fsync: bool) -> None:
        """Write a random password of the owner, unless `copy_password_of` has written one."""
        if not _read(self.password) or self.password.stat().st_uid != os.geteuid():
            self._write_private(self.password, secrets.token_urlsafe(32), fsync=fsync)

    def copy_password_of(self, other: DataDirectory) -> None:
        """Use the same password of the owner as another data directory."""
        password = _read(other.password)
        assert password  # noqa: S101  # checked by the caller
        self._write_private(self.password, password, fsync=True)

    def read_or_create_runtime_password(self, *, fsync: bool) -> str:
        """Return the password of the role that serves requests; create it if it is missing."""
        if not _read(self.runtime_password):
            self._write_private(self.runtime_password, secrets.token_urlsafe(32), fsync=fsync)
        password = _read(self.runtime_password)
        assert password  # noqa: S101  # just written
        return password

    def create_socket_directory(self) -> Path:
        """Create a private directory for the socket, with a path that is short enough."""
        self.remove_socket_directory()
        directory = self.path / "socket"
        if _can_contain_socket(directory):
            shutil.rmtree(directory, ignore_errors=True)  # left by a process that was killed
            directory.mkdir(mode=0o700)
        else:
            directory = self._create_temporary_socket_directory()
        self._write_private(self._socket_path, str(directory))
        return directory

    def _create_temporary_socket_directory(self) -> Path:
        if self._temporary_socket_directory is not None:
            try:  # the same path again, so that a restart of the server does not change the URL
                self._temporary_socket_directory.mkdir(mode=0o700)
            except OSError:
                pass  # another program has created a file of this name
            else:
                return self._temporary_socket_directory
        parent = Path(tempfile.gettempdir())
        if not _can_contain_socket(parent / "orderly-12345678"):
            parent = Path("/tmp")  # noqa: S108  # mkdtemp creates a new, private directory
        self._temporary_socket_directory = Path(tempfile.mkdtemp(prefix="orderly-", dir=parent))
        return self._temporary_socket_directory

    def remove_socket_directory(self) -> None:
        """Remove the socket's directory, including one that a killed process has left."""
        directory = _read(self._socket_path)
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
        self._socket_path.unlink(missing_ok=True)

    def url(self, database: str = DATABASE, *, role: str = OWNER) -> str | None:
        """Return the URL of a database on the running server, as the owner or the runtime role.

        None if no server runs, or if an older version has started it and the role has no password.
        """
        file = self.password if role == OWNER else self.runtime_password
        password, directory = _read(file), _read(self._socket_path)
        if not password or not directory:
            return None
        host = quote(os.fsencode(directory), safe="")
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={host}&port={PORT}"

    def _write_private(self, file: Path, text: str, *, fsync: bool = False) -> None:
        """Replace a file atomically. Other users can never read it."""
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(os.fsencode(text))
            opened.flush()
            if fsync:
                os.fsync(descriptor)
        temporary.rename(file)


def _can_contain_socket(directory: Path) -> bool:
    path = str(directory / f".s.PGSQL.{PORT}")
    return len(path) <= _LONGEST_SOCKET_PATH and _UNQUOTED_PATH.fullmatch(path) is not None


def _read(file: Path) -> str | None:
    try:
        return os.fsdecode(file.read_bytes())
    except FileNotFoundError:
        return None
