"""The log file of the embedded PostgreSQL, which is rotated when it is too large."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

_MAX_BYTES = 10 << 20


class LogFile:
    """A log file to which PostgreSQL appends, and one older file: `postgresql.log.1`.

    PostgreSQL keeps the file open. So its content is copied, and the file is truncated, as
    `copytruncate` of logrotate does: lines that are logged between the two are lost. PostgreSQL's
    own log collector would lose none, but it needs write permission for the directory, which
    PostgreSQL's user may lack (see `run_as`), and it never deletes old files.
    """

    def __init__(self, path: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self._path = path
        self._previous = path.with_suffix(".log.1")
        self._max_bytes = max_bytes
        self._rotation: threading.Thread | None = None

    def open(self) -> IO[bytes]:
        """Open the file for appending. If it is too large, begin a new one."""
        if self._is_too_large():
            self._path.replace(self._previous)
        return open(self._path, "ab", opener=_open_private)

    def read_from(self, offset: int) -> str:
        """Return what was logged after a position in the file."""
        with self._path.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def rotate_if_too_large(self) -> None:
        """Rotate the file in a thread if necessary. Call this often: the check is a system call."""
        is_running = self._rotation is not None and self._rotation.is_alive()
        if not is_running and self._is_too_large():
            self._rotation = threading.Thread(target=self._rotate, name="log rotation", daemon=True)
            self._rotation.start()

    def _is_too_large(self) -> bool:
        try:
            return self._path.stat().st_size > self._max_bytes
        except OSError:
            return False

    def _rotate(self) -> None:
        copy = self._previous.with_suffix(".new")
        with suppress(OSError):
            try:
                with self._path.open("rb") as log, open(copy, "wb", opener=_open_private) as new:
                    shutil.copyfileobj(log, new)
                    new.write(log.read())  # what was logged during the copy
                copy.replace(self._previous)
            finally:
                # Also if the disk is full: the log must not grow further.
                os.truncate(self._path, 0)
                copy.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    """Open a file. A new file can be read and written only by its owner."""
    return os.open(path, flags, 0o600)
