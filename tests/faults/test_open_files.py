"""The number of open files of a server process comes near its limit: it is logged."""

from __future__ import annotations

import resource
from pathlib import Path

from tests.support.processes import run_server, wait_until


def test_open_files_near_the_limit_are_logged(tmp_path: Path) -> None:
    with run_server(tmp_path / "data", "--no-worker") as server:
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))

        resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened, limits[1]))

        wait_until(lambda: server.has_logged("open_files_near_limit", limit=opened))
        assert not server.has_logged("open_files_below_limit")

        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

        wait_until(lambda: server.has_logged("open_files_below_limit", limit=limits[0]))
        assert 200 == server.get("/health/ready").status_code
