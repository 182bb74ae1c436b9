"""What a server that did not end in peace leaves: processes still at work, a stale pid file.

PostgreSQL trusts `postmaster.pid` to keep two servers off the same files. So it is taken away only
where nobody works on the cluster and PostgreSQL would stumble over it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from orderly.embedded.errors import StartFailedError

_PATIENCE_SECONDS = 60.0
_PROCESSES = Path("/proc")
_LARGEST_PID = (1 << 31) - 1


def wait_for(cluster: Path) -> None:
    """Wait until no server process of an earlier start is left; drop a pid file in the way.

    The caller holds the lock, so what is left can only be ending: a server whose parent was
    killed, or the sessions of a server that was killed itself, which may still write.

    Raises:
        StartFailedError: such a process does not end.
    """
    pid_file = cluster / "postmaster.pid"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while at_work := _at_work(cluster, pid_file):
        if time.monotonic() > deadline:
            raise StartFailedError(
                f"An earlier PostgreSQL, process {at_work[0]}, still works on {cluster}: "
                "end it, then try again."
            )
        time.sleep(0.02)
    if _is_in_the_way(pid_file):
        pid_file.unlink(missing_ok=True)


def _at_work(cluster: Path, pid_file: Path) -> list[int]:
    """Return the processes of PostgreSQL that work on a cluster: each has it for its directory."""
    if _PROCESSES.is_dir():  # on Linux
        names = [entry.name for entry in _PROCESSES.iterdir() if entry.name.isdecimal()]
        return sorted(int(name) for name in names if _works_on(cluster, _PROCESSES / name))
    pid = _named_in(pid_file)
    if pid is None:
        return []
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return [pid] if str(cluster) in listed.stdout else []


def _works_on(cluster: Path, process: Path) -> bool:
    with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
        program = (process / "exe").readlink().name
        if program.removesuffix(" (deleted)") == "postgres":
            # Not by its name, which another container may use for another directory
            return (process / "cwd").samefile(cluster)
    return False


def _is_in_the_way(pid_file: Path) -> bool:
    """Tell whether PostgreSQL would refuse to start because of a pid file that is stale.

    A number that nobody bears it clears up by itself, having checked more than we can.
    """
    if not pid_file.exists():
        return False
    pid = _named_in(pid_file)
    if pid is None:
        return True  # cut short by a crash of the machine
    return is_running(pid)  # somebody else's by now


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # there is, of somebody else
    return True


def _named_in(pid_file: Path) -> int | None:
    try:
        first = pid_file.read_bytes().partition(b"\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() and 0 < int(first) <= _LARGEST_PID else None
