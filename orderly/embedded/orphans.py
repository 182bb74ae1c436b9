"""Waits for orphaned PostgreSQL processes, and removes a stale `postmaster.pid`.

If Orderly was killed, its PostgreSQL server may still be shutting down. If the server itself was
killed, its backends may still write. A second server on the same files would corrupt them.

So every PostgreSQL process inherits the descriptor of a lock file, locked with flock(2). The kernel
releases the lock when the last of these processes has ended, even if they were killed.
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
    """Wait until all orphaned processes have ended; yield the locked descriptor.

    The caller passes the descriptor to the new server, whose processes inherit it.

    Raises:
        StartFailedError: an orphaned process still runs after 60 seconds.
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
    """Remove `postmaster.pid` if it is stale and PostgreSQL would refuse to start because of it.

    PostgreSQL itself removes a file whose process id belongs to no running process.
    """
    pid_file = cluster / "postmaster.pid"
    pid = _pid_in(pid_file)
    # The file is empty after a crash of the machine; or the kernel has given the process id to
    # another program.
    if pid is None or (is_running(pid) and not _may_be_server(pid, cluster)):
        pid_file.unlink(missing_ok=True)


def _may_be_server(pid: int, cluster: Path) -> bool:
    """Return whether a process may be a PostgreSQL server of this cluster.

    The caller holds the lock, so such a server was started without it, for example by an older
    version of Orderly. In that case `postmaster.pid` is kept, and PostgreSQL refuses to start.
    """
    process = Path("/proc") / str(pid)
    if not Path("/proc/self").exists():  # not on Linux
        return _program_from_ps(pid) == "postgres"
    try:
        return (process / "cwd").samefile(cluster)
    except PermissionError:  # another user's process: only its name is readable
        return (process / "comm").read_text().strip() == "postgres"
    except OSError:  # the process has just ended
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
        pass  # the process belongs to another user
    return True


def _pid_in(pid_file: Path) -> int | None:
    try:
        line = pid_file.read_bytes().partition(b"\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(line) if line.isdigit() and 0 < int(line) <= _LARGEST_PID else None
