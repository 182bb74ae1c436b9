"""The embedded PostgreSQL under what happens to it: real processes, real signals."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from orderly.embedded import (
    DataDirectoryInUseError,
    EmbeddedPostgreSQL,
    UnusableDirectoryError,
    running_url,
)

PARENT = """
import pathlib, sys, time
from orderly.embedded import EmbeddedPostgreSQL
database = EmbeddedPostgreSQL(pathlib.Path(sys.argv[1]))
database.start()
print("ready", flush=True)
time.sleep(60)
"""

Start = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def start(repository: Path) -> Iterator[Start]:
    """Return a function that starts a process which runs a data directory's server."""
    parents = []

    def started(data_dir: Path) -> subprocess.Popen[str]:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(data_dir)],
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


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgresql" / "postmaster.pid").read_text().partition("\n")[0])


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        run(url, "CREATE TABLE kept AS SELECT 7 AS it")
    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run(url, "SELECT it FROM kept")


def test_text_is_utf8_times_are_utc_and_nothing_listens_on_the_network(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        shown = [run(url, f"SHOW {name}")[0][0] for name in ("server_encoding", "timezone")]
        assert ["UTF8", "UTC"] == shown
        assert [("",)] == run(url, "SHOW listen_addresses")
        assert [("on", "on")] == run(
            url, "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        )


def test_the_password_is_needed_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path) as url:
        with pytest.raises(psycopg2.OperationalError, match="password"):
            run(url.replace("orderly:", "orderly:wrong-"), "SELECT 1")
        for name in ("postgresql-password", "postgresql-socket"):
            assert 0o600 == stat.S_IMODE((tmp_path / name).stat().st_mode)
        assert 0o700 == stat.S_IMODE((tmp_path / "socket").stat().st_mode)


def test_a_second_start_is_refused_and_told_by_whom(tmp_path: Path, start: Start) -> None:
    parent = start(tmp_path)

    with pytest.raises(DataDirectoryInUseError, match=f"{tmp_path}.*{parent.pid}"):
        EmbeddedPostgreSQL(tmp_path).start()

    url = running_url(tmp_path)
    assert url
    assert [(1,)] == run(url, "SELECT 1")


def test_a_killed_parent_leaves_no_server_and_all_that_was_committed(
    tmp_path: Path, start: Start
) -> None:
    parent = start(tmp_path)
    url = running_url(tmp_path)
    assert url
    run(url, "CREATE TABLE kept AS SELECT 7 AS it")
    pid = server_pid(tmp_path)

    parent.kill()
    parent.wait()

    # At once, while the old server is still shutting down
    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run(url, "SELECT it FROM kept")
        assert not is_running(pid)


def test_a_killed_parent_leaves_no_server_even_if_nobody_starts_again(
    tmp_path: Path, start: Start
) -> None:
    parent = start(tmp_path)
    pid = server_pid(tmp_path)

    parent.kill()

    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_server_recovers(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path)
    url = database.start()
    run(url, "CREATE TABLE kept AS SELECT 7 AS it")
    os.kill(server_pid(tmp_path), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while database.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    database.stop()

    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(7,)] == run(url, "SELECT it FROM kept")


def test_a_stale_pid_file_that_names_a_strangers_process_harms_neither(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path):
        pid_file = (tmp_path / "postgresql" / "postmaster.pid").read_text()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "postgresql" / "postmaster.pid").write_text(
            "\n".join([str(stranger.pid), *pid_file.split("\n")[1:]])
        )

        with EmbeddedPostgreSQL(tmp_path) as url:
            assert [(1,)] == run(url, "SELECT 1")

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_crash_in_the_middle_of_the_first_start_leaves_nothing_in_the_way(
    tmp_path: Path, repository: Path
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.DEVNULL, cwd=repository
    )
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("postgresql.new-*/global")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    parent.kill()
    parent.wait()

    with EmbeddedPostgreSQL(tmp_path) as url:
        assert [(1,)] == run(url, "SELECT 1")


def test_a_long_path_is_fine(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path / ("d" * 120) / "data 100% 'ü'") as url:
        assert [(1,)] == run(url, "SELECT 1")


def test_another_major_version_is_told(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path):
        pass
    (tmp_path / "postgresql" / "PG_VERSION").write_text("9\n")

    with pytest.raises(UnusableDirectoryError, match="made by PostgreSQL 9"):
        EmbeddedPostgreSQL(tmp_path).start()


def test_a_directory_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnusableDirectoryError, match="--data-dir"):
        EmbeddedPostgreSQL(tmp_path / "file" / "data").start()


def test_stopping_twice_does_nothing(tmp_path: Path) -> None:
    database = EmbeddedPostgreSQL(tmp_path)
    database.start()
    database.stop()
    database.stop()

    assert not database.is_alive()
    assert running_url(tmp_path) is None
