"""Errors of the embedded PostgreSQL. Each message says what is wrong and what to do."""

from __future__ import annotations

from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Self


class EmbeddedDatabaseError(Exception):
    """The embedded PostgreSQL cannot run."""


class DataDirectoryInUseError(EmbeddedDatabaseError):
    """Another process runs the PostgreSQL server of this data directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        user = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{directory} is in use by {user}. Stop that process, or choose another directory "
            "with --data-dir."
        )
        self.directory = directory
        self.pid = pid


class UnusableDirectoryError(EmbeddedDatabaseError):
    """The data directory cannot be used."""

    @classmethod
    def from_os_error(cls, directory: Path, error: OSError) -> Self:
        """Return an error that contains the operating system's reason."""
        where = "" if error.filename is None else f" ({error.filename})"
        is_full = error.errno in {ENOSPC, EDQUOT}
        remedy = "Free space" if is_full else "Choose a directory of your own with --data-dir"
        return cls(f"Cannot store data in {directory}: {error.strerror}{where}. {remedy}.")


class UnsupportedSystemError(EmbeddedDatabaseError):
    """PostgreSQL cannot run on this system."""


class StartFailedError(EmbeddedDatabaseError):
    """PostgreSQL exited during its start, or did not become ready."""
