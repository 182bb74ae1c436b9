"""Files through which the processes of a server report their metrics to the exporter.

Each process atomically replaces its own file. The exporter reads all files. So a process that is
killed or hangs blocks nothing, and its last report remains.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from orderly.http.metrics import Sample


class Report(NamedTuple):
    """The last report of a process."""

    pid: int
    # Whether the process is shutting down, and will not report again.
    is_final: bool
    # In seconds since 1970.
    written_at: float
    samples: list[Sample]


class MetricsFile:
    """The file of this process. Its name includes the time, since process ids are reused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_closed = False

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Return the file of this process in a directory."""
        return cls(directory / f"{os.getpid()}-{time.time_ns()}.json")

    def write(self, samples: Iterable[Sample]) -> None:
        """Replace what was reported before. Does nothing after `close`."""
        if not self._is_closed:
            self._replace(samples, is_final=False)

    def close(self, samples: Iterable[Sample]) -> None:
        """Write the last report: this process shuts down."""
        self._is_closed = True
        self._replace(samples, is_final=True)

    def _replace(self, samples: Iterable[Sample], *, is_final: bool) -> None:
        temporary = self._path.with_suffix(f".new{int(is_final)}")
        report: dict[str, Any] = {
            "pid": os.getpid(),
            "is_final": is_final,
            "written_at": time.time(),
            "samples": [[sample.name, sample.labels, sample.value] for sample in samples],
        }
        temporary.write_bytes(orjson.dumps(report))
        temporary.replace(self._path)


def read_all(directory: Path) -> dict[Path, Report]:
    """Return the last report of each process."""
    return {path: _read(path) for path in sorted(directory.glob("*.json"))}


def _read(path: Path) -> Report:
    report = orjson.loads(path.read_bytes())
    samples = [Sample(name, tuple(labels), value) for name, labels, value in report["samples"]]
    return Report(report["pid"], report["is_final"], report["written_at"], samples)
