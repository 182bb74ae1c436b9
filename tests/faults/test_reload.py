"""SIGHUP at moments when the supervisor does something else, and faults during a reload."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import Server, run_server, wait_until

PIDS = set[int]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def wait_for_reload(server: Server, before: PIDS) -> PIDS:
    """Wait until two other processes have replaced the given ones; return their ids."""

    def is_reloaded() -> bool:
        pids = server.worker_pids()
        return not pids & before and len(pids) == 2

    wait_until(is_reloaded)
    return server.worker_pids()


def test_all_sighups_during_a_reload_cause_one_more_reload(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        first = server.worker_pids()
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: len(server.worker_pids()) > 2)
        for _ in range(5):
            server.send_signal(signal.SIGHUP)
        second = wait_for_reload(server, first)
        wait_for_reload(server, second)
        assert 200 == server.get("/health/ready").status_code

        assert 0 == server.stop()
        assert 2 == sum(line["event"] == "reloaded" for line in server.log)


def test_a_sighup_during_the_start_reloads_after_the_start(data_dir: Path) -> None:
    server = Server.start(data_dir, "--workers", "2")
    try:
        wait_until(lambda: len(server.worker_pids()) == 2)
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)

        server.wait_until_ready()

        wait_for_reload(server, before)
        wait_until(lambda: server.get("/health/ready").status_code == 200)
    finally:
        server.stop()


def test_a_postgresql_that_dies_during_a_reload_is_restarted(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        before = server.worker_pids()
        old = min(before)
        os.kill(old, signal.SIGSTOP)  # so that the reload waits
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: len(server.worker_pids()) > 2)

        server.kill_postgresql(data_dir)

        os.kill(old, signal.SIGCONT)
        wait_for_reload(server, before)
        assert 200 == server.get("/health/ready").status_code
