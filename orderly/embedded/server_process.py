"""The process of a PostgreSQL server, a child of this process."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from orderly.embedded.data_directory import PORT
from orderly.embedded.errors import StartFailedError
from orderly.embedded.log_file import LogFile
from orderly.embedded.orphans import server_lock
from orderly.embedded.programs import command, environment
from orderly.embedded.run_as import RunAs

# Crash recovery may have to replay gigabytes of WAL.
_START_TIMEOUT_SECONDS = 600.0
# Fast shutdown, immediate shutdown, kill: each signal, and its timeout in seconds.
_STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))
# postmaster.pid contains the process id in line 1 and the status in line 8.
_STATUS_LINE = 7

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


class ServerProcess:
    """A PostgreSQL server on a database cluster, from `start` to `stop`.

    Only clients that can access `socket_directory` can connect. `lock_file` is the file of
    `server_lock`. `programs` is the directory of the programs; None: those of the embedded
    PostgreSQL. `options` are PostgreSQL settings.
    """

    def __init__(
        self,
        cluster: Path,
        *,
        lock_file: Path,
        log_file: LogFile,
        run_as: RunAs,
        options: Mapping[str, str],
        programs: Path | None = None,
    ) -> None:
        self._cluster = cluster
        self._lock_file = lock_file
        self._log_file = log_file
        self._run_as = run_as
        self._options = {**_SETTINGS, **options}
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    def start(self, socket_directory: Path) -> None:
        """Start the server, and wait until it accepts connections.

        Raises:
            StartFailedError: it exited or did not become ready, or an earlier server still runs.
        """
        self._run_as.take_ownership(socket_directory)
        with (
            server_lock(self._lock_file, self._cluster) as lock,
            # PostgreSQL's user may lack permission for the parent directories of these paths.
            self._run_as.inherited_paths() as paths,
            self._log_file.open() as log,
        ):
            settings = {
                **self._options,
                "port": PORT,
                "unix_socket_directories": paths.of(socket_directory),
            }
            arguments = ["-D", paths.of(self._cluster)]
            arguments += [f"--{name}={value}" for name, value in settings.items()]
            self._log_offset = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  # a program of PostgreSQL
                command(self._run_as, "postgres", *arguments, programs=self._programs),
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
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Disconnect all clients, stop the server, and wait until it exits. May be called twice."""
        if self._process is None:
            return
        for number, seconds in _STOP_SIGNALS:
            self._process.send_signal(number)
            # A stopped process (SIGSTOP) handles the signal only when it continues.
            self._process.send_signal(signal.SIGCONT)
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

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the status "ready" in postmaster.pid, as pg_ctl does."""
        pid_file = self._cluster / "postmaster.pid"
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StartFailedError(f"PostgreSQL exited during its start:\n{self._log_tail()}")
            lines = _lines(pid_file)
            if lines[:1] == [b"%d" % process.pid] and b"ready" in lines[_STATUS_LINE:]:
                return
            time.sleep(0.005)
        raise StartFailedError(f"PostgreSQL does not become ready:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        """Return the last 10 lines that were logged since the server was started."""
        return "\n".join(self._log_file.read_from(self._log_offset).splitlines()[-10:])


def _lines(file: Path) -> list[bytes]:
    try:
        return [line.strip() for line in file.read_bytes().split(b"\n")]
    except FileNotFoundError:
        return []
