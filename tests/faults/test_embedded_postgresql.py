"""The embedded PostgreSQL when processes are killed: with real processes and signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from orderly.embedded import (
    DataDirectoryInUseError,
    EmbeddedPostgreSQL,
    running_url,
    server_process,
)
from tests.support.embedded_postgresql import START_SCRIPT, postmaster_pid, run_statement
from tests.support.processes import wait_until
from tests.support.standby import Replica

Start = Callable[..., subprocess.Popen[str]]
ACCOUNTS = [
    None,
    pytest.param(
        "nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")
    ),
]


@pytest.fixture
def start(repository: Path) -> Iterator[Start]:
    """Return a function that starts a process that runs PostgreSQL in a data directory."""
    parents = []

    def start_process(data_dir: Path, account: str | None = None) -> subprocess.Popen[str]:
        parent = subprocess.Popen(
            [sys.executable, "-c", START_SCRIPT, str(data_dir), *([account] if account else [])],
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
        )
        parents.append(parent)
        assert parent.stdout
        assert "ready\n" == parent.stdout.readline()
        return parent

    yield start_process
    for parent in parents:
        parent.kill()
        parent.wait()
        assert parent.stdout
        parent.stdout.close()


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


def command_lines() -> list[bytes]:
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            lines.append((process / "cmdline").read_bytes())
    return lines


def test_committed_data_survives_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        run_statement(url, "CREATE TABLE saved AS SELECT 7 AS value")
    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")


def test_the_server_uses_utf8_and_utc_syncs_to_disk_and_does_not_listen_on_the_network(
    tmp_path: Path,
) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        settings = [
            run_statement(url, f"SHOW {name}")[0][0] for name in ("server_encoding", "timezone")
        ]
        assert ["UTF8", "UTC"] == settings
        assert [("",)] == run_statement(url, "SHOW listen_addresses")
        assert [("on", "on")] == run_statement(
            url, "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        )


def test_a_second_start_is_an_error_that_names_the_running_process(
    tmp_path: Path, start: Start
) -> None:
    parent = start(tmp_path)

    with pytest.raises(DataDirectoryInUseError, match=f"{tmp_path}.*{parent.pid}"):
        EmbeddedPostgreSQL(tmp_path).start()

    url = running_url(tmp_path)
    assert url
    assert [(1,)] == run_statement(url, "SELECT 1")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_after_the_parent_is_killed_a_new_start_waits_for_the_old_server_and_has_its_data(
    tmp_path: Path, start: Start, account: str | None
) -> None:
    parent = start(tmp_path, account)
    url = running_url(tmp_path)
    assert url
    run_statement(url, "CREATE TABLE saved AS SELECT 7 AS value")
    pid = postmaster_pid(tmp_path)

    parent.kill()
    parent.wait()

    # Immediately, while the old server is still shutting down
    with EmbeddedPostgreSQL(tmp_path, account=account) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")
        assert not is_running(pid)


def test_the_server_stops_by_itself_after_its_parent_is_killed(
    tmp_path: Path, start: Start
) -> None:
    parent = start(tmp_path)
    pid = postmaster_pid(tmp_path)

    parent.kill()

    wait_until(lambda: not is_running(pid))


def test_committed_data_survives_a_killed_server(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path)
    url = database.start()
    run_statement(url, "CREATE TABLE saved AS SELECT 7 AS value")
    os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
    wait_until(lambda: not database.is_alive())
    database.stop()

    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")


def test_a_start_waits_for_backends_that_outlive_a_killed_server(tmp_path: Path) -> None:
    """Two servers on the same files would corrupt them."""
    database = EmbeddedPostgreSQL(tmp_path, fsync=False)
    with contextlib.closing(psycopg2.connect(database.start())) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
        wait_until(lambda: not database.is_alive())
        database.stop()
        resume = threading.Timer(0.5, os.kill, [backend, signal.SIGCONT])
        resume.start()
        try:
            with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
                assert not is_running(backend)
                assert [(1,)] == run_statement(url, "SELECT 1")
        finally:
            resume.join()


def test_a_stale_pid_file_with_the_pid_of_another_process_is_ignored(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pid_file = (tmp_path / "postgresql" / "postmaster.pid").read_text()
    other_process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "postgresql" / "postmaster.pid").write_text(
            "\n".join([str(other_process.pid), *pid_file.split("\n")[1:]])
        )

        with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
            assert [(1,)] == run_statement(url, "SELECT 1")

        assert other_process.poll() is None
    finally:
        other_process.kill()
        other_process.wait()


def test_a_start_succeeds_after_a_crash_during_the_first_start(
    tmp_path: Path, repository: Path
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_SCRIPT, str(tmp_path)],
        stdout=subprocess.DEVNULL,
        cwd=repository,
    )
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("postgresql.new-*/global")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    parent.kill()
    parent.wait()

    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(1,)] == run_statement(url, "SELECT 1")
    unfinished = os.fsencode(tmp_path / "postgresql.new-")
    wait_until(lambda: not any(unfinished in command_line for command_line in command_lines()))


def test_a_start_succeeds_after_a_crash_before_the_server_ran(
    tmp_path: Path,
) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pass
    (tmp_path / "socket").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text("")

    with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
        assert [(1,)] == run_statement(url, "SELECT 1")


def test_a_start_waits_for_a_lock_that_a_killed_process_left_to_its_child(tmp_path: Path) -> None:
    """A forked child holds the lock until it executes its own program."""
    dead_process = subprocess.Popen([sys.executable, "-c", ""])
    dead_process.wait()
    child = """
import fcntl, sys, time
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(sys.argv[2], file=lock, flush=True)
    print("locked", flush=True)
    time.sleep(0.3)
"""
    with subprocess.Popen(
        [sys.executable, "-c", child, str(tmp_path / "lock"), str(dead_process.pid)],
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert b"locked\n" == holder.stdout.readline()

        with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
            assert [(1,)] == run_statement(url, "SELECT 1")


def test_a_frozen_server_is_continued_and_shut_down(tmp_path: Path) -> None:
    server = EmbeddedPostgreSQL(tmp_path, fsync=False)
    server.start()
    os.kill(postmaster_pid(tmp_path), signal.SIGSTOP)

    server.stop()

    assert "database system is shut down" in (tmp_path / "postgresql.log").read_text()


def test_a_server_whose_processes_are_all_frozen_is_stopped_and_its_data_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        server_process,
        "_STOP_SIGNALS",
        ((signal.SIGINT, 0.5), *server_process._STOP_SIGNALS[1:]),
    )
    server = EmbeddedPostgreSQL(tmp_path)
    run_statement(server.start(), "CREATE TABLE saved AS SELECT 7 AS value")
    Replica(tmp_path).freeze()

    server.stop()

    assert "received immediate shutdown request" in (tmp_path / "postgresql.log").read_text()
    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")


def test_stopping_twice_does_nothing(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path, fsync=False)
    database.start()
    database.stop()
    database.stop()

    assert not database.is_alive()
    assert running_url(tmp_path) is None
