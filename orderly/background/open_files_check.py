"""Compares the number of open files of this process with its limit (RLIMIT_NOFILE)."""

from __future__ import annotations

import errno
from pathlib import Path

import structlog

# Connections of clients and of the database are open files too. Without a free one, the server
# accepts no connection.
_WARN_ABOVE = 0.9
_OPEN_FILES = Path("/proc/self/fd")  # Linux


class OpenFilesCheck:
    """Logs when more than nine tenths of the allowed files are open, and when that ends."""

    def __init__(self) -> None:
        self._is_near_limit = False

    def __call__(self) -> None:
        """Count the open files. Does nothing on a system without `/proc/self/fd`."""
        if not _OPEN_FILES.is_dir():
            return
        import resource  # noqa: PLC0415  # Windows does not have it

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            return
        opened = _count(limit)
        was_near_limit, self._is_near_limit = self._is_near_limit, opened > _WARN_ABOVE * limit
        log = structlog.get_logger("orderly")
        if self._is_near_limit and not was_near_limit:
            log.warning(
                "open_files_near_limit",
                open=opened,
                limit=limit,
                reason="Soon this process can accept no connections.",
                remedy="Raise the limit (LimitNOFILE) or lower ORDERLY_MAX_CONNECTIONS.",
            )
        elif was_near_limit and not self._is_near_limit:
            log.info("open_files_below_limit", open=opened, limit=limit)


def _count(limit: int) -> int:
    """Return the number of open files; `limit` if even the directory cannot be opened."""
    try:
        return sum(1 for _ in _OPEN_FILES.iterdir())
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return limit
