"""Recognizes files and directories that other users of the machine could have written."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def why_unsafe(path: Path, status: os.stat_result, *, check_owner: bool = True) -> str | None:
    """Return why the content of a file or directory cannot be trusted, or None.

    The owner must be the user of this process or root. Users outside the group must not have write
    permission; the group may, because volumes of Kubernetes belong to a group (`fsGroup`). Without
    POSIX permissions, as on Windows, nothing is checked.
    """
    if os.name != "posix":
        return None
    if check_owner and status.st_uid not in {0, os.geteuid()}:
        return f"{path} belongs to another user (id {status.st_uid})"
    if status.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(status.st_mode)
        return f"Every user of this machine can write to {path} (mode {mode:04o})"
    return None


def why_directory_unsafe(path: Path) -> str | None:
    """Return why the content of a data directory cannot be trusted, and the remedy, or None.

    Raises:
        OSError: the directory does not exist or cannot be accessed.
    """
    status = path.stat()
    reason = why_unsafe(path, status)
    if reason is None:
        return None
    if status.st_mode & stat.S_IWOTH:
        remedy = f"Or, if you trust its content, remove the permission: chmod o-w {path}"
    else:
        remedy = (
            "Or, if you trust its content, run this command as that user (with the files of"
            " deploy/systemd: `orderly-command`)."
        )
    return (
        f"{reason}, and could contain another user's signing key or database. Choose another"
        f" directory with --data-dir. {remedy}"
    )
