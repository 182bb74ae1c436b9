"""Generates load with wrk, and parses the figures that it prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_RESULT = re.compile(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)")
_MISSING = (
    "wrk, which generates the load, is missing: `apt-get install wrk` on Debian and Ubuntu, `brew"
    " install wrk` on macOS. (pgbench is included in the embedded PostgreSQL.)"
)


class Measured(NamedTuple):
    """Requests per second, latencies in milliseconds, and CPU time per request in microseconds."""

    rate: float
    p50: float
    p99: float
    server_cpu: float = 0.0
    database_cpu: float = 0.0

    def with_cpu(self, requests: float, server: float, database: float) -> Measured:
        """Add the CPU time of a run, in seconds."""
        return self._replace(
            server_cpu=server / requests * 1e6, database_cpu=database / requests * 1e6
        )


class Wrk:
    """A running wrk process; its Lua `script` prints a RESULT line at the end."""

    def __init__(
        self, address: str, script: Path, arguments: Sequence[object], *, clients: int, seconds: int
    ) -> None:
        if shutil.which("wrk") is None:
            sys.exit(_MISSING)
        self._process = subprocess.Popen(
            [
                *["wrk", "--threads", "1", "--connections", str(clients)],
                *["--duration", f"{seconds}s", "--timeout", "30s", "--script", str(script)],
                *[address, "--", *map(str, arguments)],
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> Measured:
        """Wait until wrk ends and return what it measured.

        Raises:
            RuntimeError: wrk failed, or requests were refused.
        """
        output, _ = self._process.communicate()
        found = _RESULT.search(output)
        if self._process.returncode != 0 or found is None:
            raise RuntimeError(f"wrk failed:\n{output[-2000:]}")
        count, microseconds, p50, p99, errors = map(int, found.groups())
        if errors:
            raise RuntimeError(f"{errors} of {count} requests were refused:\n{output[-2000:]}")
        return Measured(count / microseconds * 1e6, p50 / 1000, p99 / 1000)


def median(rounds: Sequence[Measured]) -> Measured:
    """Return the median of each figure."""
    middle = len(rounds) // 2
    return Measured(*(sorted(column)[middle] for column in zip(*rounds, strict=True)))
