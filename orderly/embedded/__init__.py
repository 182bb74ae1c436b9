"""A PostgreSQL of our own for a first run, for one machine and for tests: it needs no setting up.

The server is a child of this process and ends with it, even if this one is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO

import psycopg2
import structlog
from psycopg2 import sql

from orderly.embedded import leftovers
from orderly.embedded.cluster import DATABASE, PORT, Cluster
from orderly.embedded.errors import (
    DataDirectoryInUseError,
    EmbeddedDatabaseError,
    StartFailedError,
    UnsupportedSystemError,
    UnusableDirectoryError,
)
from orderly.embedded.programs import command, program

__all__ = [
    "DataDirectoryInUseError",
    "EmbeddedDatabaseError",
    "EmbeddedPostgreSQL",
    "StartFailedError",
    "UnsupportedSystemError",
    "UnusableDirectoryError",
    "running_url",
]

_LARGEST_LOG_BYTES = 10 << 20

# Crash recovery may replay gigabytes: as long as the server lives, it is given time.
_START_PATIENCE_SECONDS = 600.0
_STOP_PATIENCE_SECONDS = (("SIGINT", 60.0), ("SIGQUIT", 15.0), ("SIGKILL", 15.0))
_STATUS_LINE = 7
# The connection limit by which PostgreSQL marks a database whose dropping was cut short.
_INVALID = -2

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # What the server does and suffers. A statement that fails is told to us, who log it; here it
    # would fill the disk, and with it what people have typed.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}
_WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedPostgreSQL:
    """The PostgreSQL server of a data directory, from `start` to `stop`.

    `fsync=False` gives up durability for speed: for tests alone. `options` are settings of
    PostgreSQL. Start it from a thread that lives as long as the server shall: the kernel ends the
    server when that thread ends.
    """

    def __init__(
        self, data_dir: Path, *, fsync: bool = True, options: Mapping[str, str] | None = None
    ) -> None:
        self._cluster = Cluster(data_dir.absolute())
        self._fsync = fsync
        self._options = {
            **_SETTINGS,
            **({} if fsync else _WITHOUT_FSYNC),
            **(options or {}),
        }
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_before = 0

    def start(self) -> str:
        """Start the server, on its first start with a new cluster; return its database's URL.

        Raises:
            DataDirectoryInUseError: another process runs this directory's server.
            EmbeddedDatabaseError: it cannot run; the message says why and what to do.
        """
        program("postgres")  # nothing is written on a system that has none
        self._lock = self._cluster.lock()
        try:
            self._cluster.create(fsync=self._fsync)
            leftovers.wait_for(self._cluster.directory)
            self._launch()
            self._wait_until_ready()
            return self._database_url()
        except OSError as error:
            self.stop()
            raise UnusableDirectoryError.because(self._cluster.data_dir, error) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect everybody, stop the server and wait for it. Stopping twice does nothing."""
        if self._process is not None:
            for name, seconds in _STOP_PATIENCE_SECONDS:
                self._process.send_signal(signal.Signals[name])
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    structlog.get_logger("orderly").warning(
                        "embedded_database_does_not_stop",
                        pid=self._process.pid,
                        signal=name,
                        seconds=seconds,
                    )
            self._process = None
        if self._lock is not None:
            self._cluster.remove_socket_directory()
            self._lock.close()
            self._lock = None

    def begin_anew(self) -> None:
        """Throw the database away, whoever uses it, and make an empty one in its place.

        Should this process end in between, the next start makes it.
        """
        url = self._cluster.url("postgres")
        assert url is not None  # noqa: S101  # it is running
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            name = sql.Identifier(DATABASE)
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(name))

    def is_alive(self) -> bool:
        """Tell whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        settings = {
            **self._options,
            "port": PORT,
            "unix_socket_directories": str(self._cluster.make_socket_directory()),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self._open_log() as log:
            self._log_before = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  # PostgreSQL from this environment
                command("postgres", "-D", str(self._cluster.directory), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal goes to the whole group; the server outlives the requests.
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C"},
            )

    def _open_log(self) -> IO[bytes]:
        log = self._cluster.log
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log.open("ab")

    def _wait_until_ready(self) -> None:
        """Wait for the word that PostgreSQL itself writes, as pg_ctl does."""
        assert self._process is not None  # noqa: S101
        pid_file = self._cluster.directory / "postmaster.pid"
        deadline = time.monotonic() + _START_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartFailedError(f"PostgreSQL ended at its start:\n{self._last_words()}")
            lines = _lines(pid_file)
            if lines[:1] == [b"%d" % self._process.pid] and b"ready" in lines[_STATUS_LINE:]:
                return
            time.sleep(0.005)
        raise StartFailedError(f"PostgreSQL does not become ready:\n{self._last_words()}")

    def _last_words(self) -> str:
        with self._cluster.log.open("rb") as log:
            log.seek(self._log_before)
            said = log.read().decode(errors="replace")
        return "\n".join(said.splitlines()[-10:])

    def _database_url(self) -> str:
        maintenance, url = self._cluster.url("postgres"), self._cluster.url()
        assert maintenance is not None  # noqa: S101  # it is running
        assert url is not None  # noqa: S101
        try:
            connection = psycopg2.connect(maintenance)
        except psycopg2.OperationalError as error:
            raise StartFailedError(f"PostgreSQL runs, but lets nobody in: {error}") from error
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT datconnlimit FROM pg_database WHERE datname = %s", [DATABASE]
                )
                found = cursor.fetchone()
                name = sql.Identifier(DATABASE)
                if found == (_INVALID,):  # nobody can use it any more, only drop it for good
                    cursor.execute(sql.SQL("DROP DATABASE {}").format(name))
                if found in {None, (_INVALID,)}:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(name))
        finally:
            connection.close()
        return url


def _lines(file: Path) -> list[bytes]:
    try:
        return [line.strip() for line in file.read_bytes().split(b"\n")]
    except FileNotFoundError:
        return []


def running_url(data_dir: Path) -> str | None:
    """Return the URL of the server that another process runs in a directory, if there is one."""
    return Cluster(data_dir.absolute()).url()
