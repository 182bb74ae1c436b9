"""Runs a server whose data directory is a small file system of its own, which a test can fill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Server, orderly_environment

_COMMAND = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=200m,mode=700 none "$1" && shift && exec "$@"',
    "sh",
]


@contextmanager
def server_on_a_small_disk(data_dir: Path, **variables: str) -> Iterator[tuple[Server, Path]]:
    """Run a server with the demo on a disk of 200 MB; yield the server and the directory.

    Only the server's processes see the disk at `data_dir`; the test uses the directory. Skip the
    test if this system allows no user namespaces.
    """
    probe = data_dir.parent / "probe"
    probe.mkdir()
    if subprocess.run([*_COMMAND, str(probe), "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no user namespaces")
    data_dir.mkdir()
    arguments = ["serve", "--demo", "--no-worker", "--port", "0", "--data-dir", str(data_dir)]
    with (
        (data_dir.parent / "stdout").open("wb") as out,
        (data_dir.parent / "stderr").open("wb") as err,
    ):
        process = subprocess.Popen(
            [*_COMMAND, str(data_dir), sys.executable, "-m", "orderly", *arguments],
            cwd=ROOT,
            env=orderly_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    server = Server(process, data_dir.parent)
    try:
        server.wait_until_ready()
        yield server, Path(f"/proc/{process.pid}/root{data_dir}")
    finally:
        if process.poll() is None:
            server.stop()
