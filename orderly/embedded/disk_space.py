"""Recognises that the disk of a data directory is full."""

from __future__ import annotations

import os
import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path

# The size of a WAL segment. With less free space, a server cannot start, and may not even be able
# to log why.
_MIN_FREE_BYTES = 16 << 20
# PostgreSQL's programs run with LC_ALL=C.
_MESSAGES = (os.strerror(ENOSPC), os.strerror(EDQUOT), "No space left on device")


def has_space(directory: Path) -> bool:
    """Return whether PostgreSQL can start in a directory; quotas are not considered.

    True if there is no such directory: then something else is wrong.
    """
    try:
        return shutil.disk_usage(directory).free >= _MIN_FREE_BYTES
    except (FileNotFoundError, NotADirectoryError):
        return True


def is_disk_full(directory: Path, error: BaseException, *texts: str) -> bool:
    """Return whether the disk is full, or an error, its causes or other texts say so.

    What a failed statement has written is removed, so there may be free space again.
    """
    if not has_space(directory):
        return True
    messages = [*texts]
    cause: BaseException | None = error
    while cause is not None:
        messages.append(str(cause))
        cause = cause.__cause__
    return any(full in message for message in messages for full in _MESSAGES)
