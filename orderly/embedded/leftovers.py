"""Waits for processes of an earlier PostgreSQL server, and removes a stale `postmaster.pid`.

A server whose parent was killed may still be stopping. The backends of a server that was itself
killed may still write. A second server on the same files would corrupt them.

So every server process inherits a lock: an open file on which `flock` was called. The kernel
releases it when the last of them has ended, for whatever reason.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orderly.embedded.errors import StartFailedError
from orderly.embedded.file_lock import try_lock

_TIMEOUT_SECONDS = 60.0
_LARGEST_PID = (1 << 31) - 1


@contextmanager
def server_lock(lock_file: Path, cluster: Path) -> Iterator[int]:
    """Wait until no earlier server process is left; yield a locked descriptor to be inherited.

    Raises:
        StartFailedError: such a process does not end.
    """
    with lock_file.open("ab") as file:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not try_lock(file.fileno()):
            if time.monotonic() > deadline:
                pid = _pid_in(cluster / "postmaster.pid")
                raise StartFailedError(
                    f"An earlier PostgreSQL server{f', process {pid},' if pid else ''} still uses "
                    f"{cluster}. End its processes, and try again."
                )
            time.sleep(0.02)
        _remove_stale_pid_file(cluster)
        yield file.fileno()


def _remove_stale_pid_file(cluster: Path) -> None:
    """Remove a `postmaster.pid` with which PostgreSQL would refuse to start, if it is stale.

    PostgreSQL itself removes a file that names no running process.
    """
    pid_file = cluster / "postmaster.pid"
    pid = _pid_in(pid_file)
    # Empty after a crash of the machine, or the process id belongs to another program by now.
    if pid is None or (is_running(pid) and not _may_be_server(pid, cluster)):
        pid_file.unlink(missing_ok=True)


def _may_be_server(pid: int, cluster: Path) -> bool:
    """Return whether a process may be a PostgreSQL server of this cluster.

    An older version of Orderly may have started it without the lock. PostgreSQL then refuses to
    start, because of the pid file.
    """
    process = Path("/proc") / str(pid)
    if not Path("/proc/self").exists():  # not on Linux
        return _program_from_ps(pid) == "postgres"
    try:
        return (process / "cwd").samefile(cluster)
    except PermissionError:  # the process of another user, of which only the name is readable
        return (process / "comm").read_text().strip() == "postgres"
    except OSError:  # it has just ended
        return False


def _program_from_ps(pid: int) -> str:
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return Path(listed.stdout.strip()).name


def is_running(pid: int) -> bool:
    """Return whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


def _pid_in(pid_file: Path) -> int | None:
    try:
        line = pid_file.read_bytes().partition(b"\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(line) if line.isdigit() and 0 < int(line) <= _LARGEST_PID else None
