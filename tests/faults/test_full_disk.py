"""The embedded PostgreSQL cannot start because its disk is full: the server waits for space."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import httpx2

from tests.support.embedded_postgresql import postmaster_pid
from tests.support.mounted_disk import fill_disk, on_a_small_disk
from tests.support.processes import TIMEOUT_SECONDS, Server, wait_until
from tests.support.small_disk import server_on_a_small_disk

WAITS = "embedded_database_waits_for_disk_space"


def status(server: Server) -> int:
    try:
        return server.get("/health/ready").status_code
    except httpx2.HTTPError:  # the restart of the database blocks the only process for a moment
        return 0


def test_a_server_whose_database_cannot_restart_continues_when_there_is_space(
    tmp_path: Path,
) -> None:
    with server_on_a_small_disk(tmp_path / "data") as (server, disk):
        fill_disk(disk)
        os.kill(postmaster_pid(disk), signal.SIGKILL)

        wait_until(lambda: server.has_logged(WAITS))

        assert 503 == status(server)
        assert 200 == server.get("/health/live").status_code
        (disk / "filler").unlink()
        wait_until(lambda: status(server) == 200)
        assert server.has_logged("embedded_database_restarted")
        assert 0 == server.stop()


def test_a_start_waits_for_space(tmp_path: Path) -> None:
    with on_a_small_disk(tmp_path / "disk", size=200 << 20) as disk:
        options = ("--data-dir", str(disk.inside / "data"))
        assert 0 == disk.run(sys.executable, "-m", "orderly", "migrate", *options).returncode
        fill_disk(disk.path)
        refused = disk.run(sys.executable, "-m", "orderly", "audit", *options)
        serve = (sys.executable, "-m", "orderly", "serve", "--port", "0", *options)
        with disk.start(*serve) as server:
            assert server.stderr is not None
            waiting = server.stderr.readline()
            (disk.path / "filler").unlink()
            restarted = server.stderr.readline()
            assert server.stdout is not None
            while "Ctrl-C" not in server.stdout.readline():
                pass
            server.terminate()
            assert 0 == server.wait(TIMEOUT_SECONDS)

    assert 1 == refused.returncode
    assert 1 == len(refused.stderr.splitlines())
    assert "No space left on device" in refused.stderr or "PostgreSQL exited" in refused.stderr
    assert WAITS in waiting
    assert "embedded_database_restarted" in restarted
