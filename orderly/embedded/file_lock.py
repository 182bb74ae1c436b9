"""An exclusive lock on a file, which the kernel releases when the processes that hold it end."""

from __future__ import annotations


def try_lock(descriptor: int) -> bool:
    """Lock an open file with flock(2); return False if another process holds the lock.

    Raises:
        OSError: the file system does not support locks.
    """
    import fcntl  # noqa: PLC0415  # missing on Windows, where there is no embedded PostgreSQL

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
