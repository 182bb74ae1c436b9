"""Starts and stops the embedded PostgreSQL server, a child process of this process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

import psycopg2
from psycopg2 import sql

from orderly.embedded.cluster import prepare_cluster
from orderly.embedded.data_directory import DATABASE, RUNTIME, DataDirectory
from orderly.embedded.errors import StartFailedError, UnusableDirectoryError
from orderly.embedded.log_file import LogFile
from orderly.embedded.programs import program
from orderly.embedded.run_as import RunAs, choose_user
from orderly.embedded.server_process import ServerProcess

# DROP DATABASE sets pg_database.datconnlimit to this first. It stays if the drop is interrupted.
_INVALID_DATABASE = -2

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
        self._options = {**({} if fsync else _WITHOUT_FSYNC), **(options or {})}
        self._lock: IO[str] | None = None

    @property
    def account(self) -> str | None:
        """The system account that PostgreSQL runs as; None if it is the user of this process."""
        return self._run_as.account

    @cached_property
    def _run_as(self) -> RunAs:
        return choose_user(self._account)

    @cached_property
    def _process(self) -> ServerProcess:
        return ServerProcess(
            self._directory.cluster,
            lock_file=self._directory.server_lock,
            log_file=self._log_file,
            run_as=self._run_as,
            options=self._options,
        )

    def start(self) -> str:
        """Start the server and return the database's URL as the owner of its tables, a superuser.

        The first start creates the database, and the role of `runtime_url`.

        Raises:
            DataDirectoryInUseError: another process runs the server of this directory.
            EmbeddedDatabaseError: the server cannot run; the message says why and what to do.
        """
        # Called only for their exceptions: fail before writing any file.
        program("postgres")
        _ = self._run_as
        # Two locks protect the directory. This process holds the first, so that only one Orderly
        # process manages the directory. PostgreSQL's processes inherit the second (`server_lock`),
        # which stays locked until the last of them has ended, even if this process is killed.
        self._lock = self._directory.lock()
        try:
            prepare_cluster(self._directory, self._run_as, fsync=self._fsync)
            self._process.start(self._directory.create_socket_directory())
            return self._create_database_and_role()
        except OSError as error:
            self.stop()
            raise UnusableDirectoryError.from_os_error(self._directory.path, error) from error
        except psycopg2.Error as error:
            self.stop()
            reason = str(error).strip().partition("\n")[0]
            raise StartFailedError(f"PostgreSQL runs, but cannot be used: {reason}") from error
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
        if self._lock is not None:
            self._process.stop()
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
        return self._lock is not None and self._process.is_alive()

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

    def _create_database_and_role(self) -> str:
        """Create the database if it does not exist or cannot be used; return its URL.

        Create the runtime role if it does not exist, and set its password.
        """
        with closing(self._connect()) as connection, connection.cursor() as cursor:
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


def running_url(data_dir: Path) -> str | None:
    """Return the database's URL as the owner if another process runs the server of a directory."""
    return DataDirectory(data_dir.absolute()).url()


def running_runtime_url(data_dir: Path) -> str | None:
    """Return the same URL as `running_url`, but as the role that serves requests."""
    return DataDirectory(data_dir.absolute()).url(role=RUNTIME)
