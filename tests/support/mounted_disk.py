"""A small file system in memory, which tests fill."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import ROOT, TIMEOUT_SECONDS, orderly_environment

# Mounts it, and keeps the namespaces in which it is mounted.
_MOUNT = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o "size=$2,mode=700" none "$1" && echo mounted && exec sleep 600',
    "sh",
]


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """The file system: programs in its namespaces find it at `inside`, this process at `path`."""

    pid: int
    inside: Path

    @property
    def path(self) -> Path:
        """The path at which this process can access it."""
        return Path(f"/proc/{self.pid}/root{self.inside}")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the namespaces until it exits."""
        return subprocess.run(
            self._command(command),
            cwd=ROOT,
            env=orderly_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program in the namespaces, with pipes for its outputs."""
        return subprocess.Popen(
            self._command(command),
            cwd=ROOT,
            env=orderly_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _command(self, command: Sequence[str]) -> list[str]:
        options = [f"--target={self.pid}", "--user", "--mount", "--preserve-credentials"]
        return ["nsenter", *options, "--", *command]


@contextmanager
def on_a_small_disk(directory: Path, *, size: int) -> Iterator[SmallDisk]:
    """Mount a file system of a size in bytes on a directory; skip the test if that is forbidden."""
    directory.mkdir()
    with subprocess.Popen(
        [*_MOUNT, str(directory), str(size)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "mounted\n":
                pytest.skip("this system allows no user namespaces")
            yield SmallDisk(process.pid, directory)
        finally:
            process.kill()


def fill_disk(path: Path, *, leave: int = 0) -> None:
    """Write a file `filler`, so that only `leave` bytes are free."""
    # A program that also writes to the disk can fill it first.
    with suppress(OSError), (path / "filler").open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(path).free - leave) > 0:
            file.write(bytes(min(free, 1 << 20)))
