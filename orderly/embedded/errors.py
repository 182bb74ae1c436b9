"""What can keep the embedded PostgreSQL from running; each message says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Self


class EmbeddedDatabaseError(Exception):
    """The embedded PostgreSQL cannot run."""


class DataDirectoryInUseError(EmbeddedDatabaseError):
    """Another process runs the database in this directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{directory} is in use by {who}: stop that, or choose another with --data-dir."
        )
        self.directory = directory
        self.pid = pid


class UnusableDirectoryError(EmbeddedDatabaseError):
    """The data directory cannot be used as it is."""

    @classmethod
    def because(cls, directory: Path, error: OSError) -> Self:
        """Return the error that tells what the system has against it."""
        where = "" if error.filename is None else f" ({error.filename})"
        return cls(
            f"Cannot keep data in {directory}: {error.strerror}{where}. "
            "Choose a directory of yours with --data-dir."
        )


class UnsupportedSystemError(EmbeddedDatabaseError):
    """PostgreSQL cannot be run here."""


class StartFailedError(EmbeddedDatabaseError):
    """PostgreSQL ended, or did not become ready, when it was started."""
