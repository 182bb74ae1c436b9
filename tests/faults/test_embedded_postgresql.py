"""The embedded PostgreSQL under what happens to it: real processes, real signals."""

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

from orderly.embedded import DataDirectoryInUseError, EmbeddedPostgreSQL, running_url
from tests.support.embedded_postgresql import START_SCRIPT, postmaster_pid, run_statement
from tests.support.processes import wait_until

Start = Callable[..., subprocess.Popen[str]]
ACCOUNTS = [
    None,
    pytest.param(
        "nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")
    ),
]


@pytest.fixture
def start(repository: Path) -> Iterator[Start]:
    """Return a function that starts a process which runs a data directory's server."""
    parents = []

    def started(data_dir: Path, account: str | None = None) -> subprocess.Popen[str]:
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

    yield started
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
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes())
    return found


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        run_statement(url, "CREATE TABLE kept AS SELECT 7 AS it")
    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run_statement(url, "SELECT it FROM kept")


def test_text_is_utf8_times_are_utc_and_nothing_listens_on_the_network(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        shown = [
            run_statement(url, f"SHOW {name}")[0][0] for name in ("server_encoding", "timezone")
        ]
        assert ["UTF8", "UTC"] == shown
        assert [("",)] == run_statement(url, "SHOW listen_addresses")
        assert [("on", "on")] == run_statement(
            url, "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        )


def test_a_second_start_is_refused_and_told_by_whom(tmp_path: Path, start: Start) -> None:
    parent = start(tmp_path)

    with pytest.raises(DataDirectoryInUseError, match=f"{tmp_path}.*{parent.pid}"):
        EmbeddedPostgreSQL(tmp_path).start()

    url = running_url(tmp_path)
    assert url
    assert [(1,)] == run_statement(url, "SELECT 1")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_killed_parent_leaves_no_server_and_all_that_was_committed(
    tmp_path: Path, start: Start, account: str | None
) -> None:
    parent = start(tmp_path, account)
    url = running_url(tmp_path)
    assert url
    run_statement(url, "CREATE TABLE kept AS SELECT 7 AS it")
    pid = postmaster_pid(tmp_path)

    parent.kill()
    parent.wait()

    # At once, while the old server is still shutting down
    with EmbeddedPostgreSQL(tmp_path, account=account) as url:
        assert [(7,)] == run_statement(url, "SELECT it FROM kept")
        assert not is_running(pid)


def test_a_killed_parent_leaves_no_server_even_if_nobody_starts_again(
    tmp_path: Path, start: Start
) -> None:
    parent = start(tmp_path)
    pid = postmaster_pid(tmp_path)

    parent.kill()

    wait_until(lambda: not is_running(pid))


def test_a_killed_server_recovers(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path)
    url = database.start()
    run_statement(url, "CREATE TABLE kept AS SELECT 7 AS it")
    os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
    wait_until(lambda: not database.is_alive())
    database.stop()

    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run_statement(url, "SELECT it FROM kept")


def test_sessions_that_outlive_a_killed_server_are_waited_for(tmp_path: Path) -> None:
    """Two servers on the same files would spoil them."""
    database = EmbeddedPostgreSQL(tmp_path, fsync=False)
    with contextlib.closing(psycopg2.connect(database.start())) as connection:
        session = connection.info.backend_pid
        os.kill(session, signal.SIGSTOP)
        os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
        wait_until(lambda: not database.is_alive())
        database.stop()
        release = threading.Timer(0.5, os.kill, [session, signal.SIGCONT])
        release.start()
        try:
            with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
                assert not is_running(session)
                assert [(1,)] == run_statement(url, "SELECT 1")
        finally:
            release.join()


def test_a_stale_pid_file_that_names_a_strangers_process_harms_neither(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pid_file = (tmp_path / "postgresql" / "postmaster.pid").read_text()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "postgresql" / "postmaster.pid").write_text(
            "\n".join([str(stranger.pid), *pid_file.split("\n")[1:]])
        )

        with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
            assert [(1,)] == run_statement(url, "SELECT 1")

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_crash_in_the_middle_of_the_first_start_leaves_nothing_in_the_way(
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
    begun = os.fsencode(tmp_path / "postgresql.new-")
    wait_until(lambda: not any(begun in command_line for command_line in command_lines()))


def test_a_start_that_was_killed_before_its_server_ran_leaves_nothing_in_the_way(
    tmp_path: Path,
) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pass
    (tmp_path / "socket").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text("")

    with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
        assert [(1,)] == run_statement(url, "SELECT 1")


def test_a_lock_that_a_killed_process_has_left_to_its_child_is_waited_for(tmp_path: Path) -> None:
    """A child that was just being made has it for the moment until its own program begins."""
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    child = """
import fcntl, sys, time
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(sys.argv[2], file=lock, flush=True)
    print("locked", flush=True)
    time.sleep(0.3)
"""
    with subprocess.Popen(
        [sys.executable, "-c", child, str(tmp_path / "lock"), str(killed.pid)],
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert b"locked\n" == holder.stdout.readline()

        with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
            assert [(1,)] == run_statement(url, "SELECT 1")


def test_stopping_twice_does_nothing(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path, fsync=False)
    database.start()
    database.stop()
    database.stop()

    assert not database.is_alive()
    assert running_url(tmp_path) is None
