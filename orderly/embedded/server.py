"""Starts and stops the embedded PostgreSQL server, a child process of this process."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

import psycopg2
import structlog
from psycopg2 import sql

from orderly.embedded.cluster import prepare_cluster
from orderly.embedded.data_directory import DATABASE, PORT, RUNTIME, DataDirectory
from orderly.embedded.errors import StartFailedError, UnusableDirectoryError
from orderly.embedded.log_file import LogFile
from orderly.embedded.orphans import server_lock
from orderly.embedded.programs import command, environment, program
from orderly.embedded.run_as import RunAs, choose_user

# Crash recovery may have to replay gigabytes of WAL.
_START_TIMEOUT_SECONDS = 600.0
# Fast shutdown, immediate shutdown, kill: each signal, and its timeout in seconds.
_STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))
# postmaster.pid contains the process id in line 1 and the status in line 8.
_STATUS_LINE = 7
# DROP DATABASE sets pg_database.datconnlimit to this first. It stays if the drop is interrupted.
_INVALID_DATABASE = -2

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Time, process id, and application_name: which process of Orderly the session belongs to.
    "log_line_prefix": "%m [%p] %q%a ",
    # Log only events of the server, unless the options log slow statements. Failed statements
    # contain user input and would let the file grow; Orderly logs such errors itself.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}
_WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedPostgreSQL:
    """The PostgreSQL server of a data directory, from `start` to `stop`.

    PostgreSQL refuses to run as root. If this process is root, PostgreSQL runs as the system user
    `account` (see `run_as`); otherwise `account` is ignored. `fsync=False` is faster, but data can
    be lost in a crash: for tests only. `options` are PostgreSQL settings.

    Call `start` in a thread that lives as long as the server. The child asks for a parent-death
    signal (`PR_SET_PDEATHSIG`, set in `launcher.py`), and the kernel sends that signal when the
    thread that created the child ends, not only when the whole process ends.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        account: str | None = None,
        fsync: bool = True,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = DataDirectory(data_dir.absolute())
        self._log_file = LogFile(self._directory.log)
        self._account = account
        self._fsync = fsync
        self._options = {
            **_SETTINGS,
            **({} if fsync else _WITHOUT_FSYNC),
            **(options or {}),
        }
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def account(self) -> str | None:
        """The system account that PostgreSQL runs as; None if it is the user of this process."""
        return self._run_as.account

    @cached_property
    def _run_as(self) -> RunAs:
        return choose_user(self._account)

    def start(self) -> str:
        """Start the server and return the database's URL as the owner of its tables, a superuser.

        The first start creates the database, and the role of `runtime_url`.

        Raises:
            DataDirectoryInUseError: another process runs the server of this directory.
            EmbeddedDatabaseError: the server cannot run; the message says why and what to do.
        """
        # Called only for its exception: without PostgreSQL programs, fail before writing any file.
        program("postgres")
        # Two locks protect the directory. This process holds the first, so that only one Orderly
        # process manages the directory. PostgreSQL's processes inherit the second (`server_lock`),
        # which stays locked until the last of them has ended, even if this process is killed.
        self._lock = self._directory.lock()
        try:
            prepare_cluster(self._directory, self._run_as, fsync=self._fsync)
            self._launch()
            self._wait_until_ready()
            return self._create_database_and_role()
        except OSError as error:
            self.stop()
            raise UnusableDirectoryError.from_os_error(self._directory.path, error) from error
        except BaseException:
            self.stop()
            raise

    @property
    def runtime_url(self) -> str:
        """The database's URL as the role that serves requests. The server must run."""
        url = self._directory.url(role=RUNTIME)
        assert url is not None  # noqa: S101  # the server runs
        return url

    def stop(self) -> None:
        """Disconnect all clients, stop the server, and wait until it exits. May be called twice."""
        if self._process is not None:
            for number, seconds in _STOP_SIGNALS:
                self._process.send_signal(number)
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    structlog.get_logger("orderly").warning(
                        "embedded_database_does_not_stop",
                        pid=self._process.pid,
                        signal=number.name,
                        seconds=seconds,
                    )
            self._process = None
        if self._lock is not None:
            self._directory.remove_socket_directory()
            self._lock.close()
            self._lock = None

    def recreate_database(self) -> None:
        """Replace the database with an empty one. Disconnects all clients.

        If this process is killed between the two statements, the next start creates the database.
        """
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            name = sql.Identifier(DATABASE)
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(name))

    def is_alive(self) -> bool:
        """Return whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def rotate_log(self) -> None:
        """Rotate the log file if it is too large."""
        self._log_file.rotate_if_too_large()

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
        directory = self._directory
        socket_directory = directory.create_socket_directory()
        self._run_as.take_ownership(socket_directory)
        with (
            server_lock(directory.server_lock, directory.cluster) as lock,
            # PostgreSQL's user may lack permission for the parent directories of these paths.
            self._run_as.inherited_paths() as paths,
            self._log_file.open() as log,
        ):
            settings = {
                **self._options,
                "port": PORT,
                "unix_socket_directories": paths.of(socket_directory),
            }
            options = [f"--{name}={value}" for name, value in settings.items()]
            self._log_offset = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  # a program of PostgreSQL
                command(self._run_as, "postgres", "-D", paths.of(directory.cluster), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C sends SIGINT to the whole foreground process group. In a session of its
                # own, PostgreSQL does not receive it, and keeps running until Orderly has finished
                # the running requests.
                start_new_session=True,
                env=environment(),
                pass_fds=[lock, *paths.descriptors],
            )

    def _wait_until_ready(self) -> None:
        """Wait for the status "ready" in postmaster.pid, as pg_ctl does."""
        assert self._process is not None  # noqa: S101
        pid_file = self._directory.cluster / "postmaster.pid"
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartFailedError(f"PostgreSQL exited during its start:\n{self._log_tail()}")
            lines = _lines(pid_file)
            if lines[:1] == [b"%d" % self._process.pid] and b"ready" in lines[_STATUS_LINE:]:
                return
            time.sleep(0.005)
        raise StartFailedError(f"PostgreSQL does not become ready:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        """Return the last 10 lines that were logged since the server was launched."""
        with self._directory.log.open("rb") as log:
            log.seek(self._log_offset)
            logged = log.read().decode(errors="replace")
        return "\n".join(logged.splitlines()[-10:])

    def _create_database_and_role(self) -> str:
        """Create the database if it does not exist or cannot be used; return its URL.

        Create the runtime role if it does not exist, and set its password.
        """
        try:
            connection = self._connect()
        except psycopg2.OperationalError as error:
            raise StartFailedError(f"PostgreSQL runs, but refuses connections: {error}") from error
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT datconnlimit FROM pg_database WHERE datname = %s", [DATABASE])
            connection_limit = cursor.fetchone()
            name = sql.Identifier(DATABASE)
            if connection_limit == (_INVALID_DATABASE,):
                cursor.execute(sql.SQL("DROP DATABASE {}").format(name))
            if connection_limit in {None, (_INVALID_DATABASE,)}:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(name))
            self._create_runtime_role(cursor)
        url = self._directory.url()
        assert url is not None  # noqa: S101  # the server runs
        return url

    def _create_runtime_role(self, cursor: psycopg2.extensions.cursor) -> None:
        password = self._directory.read_or_create_runtime_password(fsync=self._fsync)
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [RUNTIME])
        verb = sql.SQL("ALTER" if cursor.fetchone() is not None else "CREATE")
        # Only the SCRAM verifier is sent, so that no log can contain the password.
        verifier = psycopg2.extensions.encrypt_password(
            password, RUNTIME, cursor.connection, "scram-sha-256"
        )
        statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER PASSWORD {}")
        cursor.execute(statement.format(verb, sql.Identifier(RUNTIME), sql.Literal(verifier)))

    def _connect(self) -> psycopg2.extensions.connection:
        """Connect to the maintenance database, in autocommit mode."""
        url = self._directory.url("postgres")
        assert url is not None  # noqa: S101  # the server runs
        connection = psycopg2.connect(url)
        connection.autocommit = True
        return connection


def _lines(file: Path) -> list[bytes]:
    try:
        return [line.strip() for line in file.read_bytes().split(b"\n")]
    except FileNotFoundError:
        return []


def running_url(data_dir: Path) -> str | None:
    """Return the database's URL as the owner if another process runs the server of a directory."""
    return DataDirectory(data_dir.absolute()).url()


def running_runtime_url(data_dir: Path) -> str | None:
    """Return the same URL as `running_url`, but as the role that serves requests."""
    return DataDirectory(data_dir.absolute()).url(role=RUNTIME)
