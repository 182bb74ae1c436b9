"""The job that backs up the shop once a day, and deletes the oldest backups."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

import structlog

from orderly.backups import archive
from orderly.backups.errors import BackupError
from orderly.settings import Settings

_DAY_SECONDS = 24 * 3600.0
# After a failure, such as a full disk.
_RETRY_SECONDS = 600.0
# Longer than any backup should take. A frozen process would otherwise prevent all further backups.
_TIME_LIMIT_SECONDS = 12 * 3600.0
_PATTERN = "orderly-????-??-??T??????Z.backup"


class DailyBackup:
    """A job of the worker: `settings.backup_dir` must be set.

    Each backup is verified. The command `orderly backup` runs as a child process, so that the
    other jobs do not wait for it.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.backup_dir is not None  # noqa: S101
        self._directory = settings.backup_dir
        self._max_backups = settings.backups_kept
        self._environment = settings.environment_of_child()
        self._next_attempt = 0.0
        self._running: _BackupProcess | None = None

    def __call__(self) -> int:
        """Begin a backup if the newest one is a day old; return 1 when one was written, else 0.

        Raises:
            BackupError: the command failed or did not end; the message says why.
        """
        if self._running is not None:
            return self._finish(self._running)
        if time.monotonic() >= self._next_attempt and self._is_due():
            self._next_attempt = time.monotonic() + _RETRY_SECONDS
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive.remove_interrupted(self._directory, _PATTERN)
            file = self._directory / f"orderly-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.backup"
            self._running = _BackupProcess.start(file, self._environment)
        return 0

    def _finish(self, running: _BackupProcess) -> int:
        status = running.process.poll()
        if status is None:
            if time.monotonic() < running.deadline:
                return 0
            running.process.kill()
            running.process.wait()
        self._running = None
        with running.output as output:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
        if status != 0:
            # A file that could not be verified must not count as a backup.
            running.file.unlink(missing_ok=True)
            if status is None:
                hours = _TIME_LIMIT_SECONDS / 3600
                text = f"The backup had not ended after {hours:.0f} hours, and was killed."
            raise BackupError(text or f"The command `orderly backup` ended with status {status}.")
        structlog.get_logger("orderly").info("backup_written", file=str(running.file))
        for old in self._backups()[: -self._max_backups]:
            old.unlink()
        return 1

    def _is_due(self) -> bool:
        backups = self._backups()
        return not backups or time.time() - backups[-1].stat().st_mtime >= _DAY_SECONDS

    def _backups(self) -> list[Path]:
        """Return the files that this job wrote, oldest first; other files are never deleted."""
        return sorted(self._directory.glob(_PATTERN))


@dataclass(frozen=True, slots=True)
class _BackupProcess:
    """A running `orderly backup`, the file that it writes, and its output."""

    file: Path
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    deadline: float

    @classmethod
    def start(cls, file: Path, environment: Mapping[str, str]) -> Self:
        output = tempfile.TemporaryFile()  # noqa: SIM115  # read when the process has ended
        command = [sys.executable, "-m", "orderly", "backup", "--verify", str(file)]
        process = subprocess.Popen(  # noqa: S603  # this program
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        return cls(file, process, output, time.monotonic() + _TIME_LIMIT_SECONDS)
