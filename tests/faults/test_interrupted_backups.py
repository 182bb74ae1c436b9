"""kill -9, SIGSTOP and full disks during `backup`, `verify-backup`, `restore` and daily backups.

After each fault, the same command succeeds. docs/operations/backup.md has the table.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orderly.background import daily_backup
from orderly.background.daily_backup import DailyBackup
from orderly.backups.errors import BackupError
from orderly.settings import Settings
from tests.support.demo_contents import CONTENTS, EMAILS
from tests.support.embedded_postgresql import run_statement
from tests.support.processes import ROOT, orderly_environment, run_orderly, run_server, wait_until

# Runs a command of Orderly that stops its process group, or kills itself, when it shows the
# progress of the third table.
FAULT_AT_THE_THIRD_TABLE = """
import os, signal, sys
from orderly.cli import backups
from orderly.cli.main import main

tables = []

def interrupt(table):
    tables.append(table)
    if len(tables) == 3:
        if os.environ["FAULT"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(0, signal.SIGSTOP)

backups.show_progress = interrupt
main()
"""
# Repeats a command, first with the given space on a disk of 120 MB, then with all of it.
ON_A_FULL_DISK = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    """
    set -e
    mount -t tmpfs -o size=120m,mode=700 none "$1"
    if [ "$2" = migrate ]; then "$4" -m orderly migrate --data-dir "$1/data" > "$1/migrated"; fi
    cat /dev/zero > "$1/filler" 2> /dev/null || true
    truncate --size="-$3" "$1/filler"
    shift 3
    "$@" && exit 3
    ls -d "$0"/disk/*.backup* "$0"/disk/orderly-verify-* 2> /dev/null || true
    echo first attempt failed
    rm "$0/disk/filler"
    exec "$@"
    """,
]


@pytest.fixture(scope="module")
def demo_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a demo shop."""
    directory = tmp_path_factory.mktemp("demo")
    with run_server(directory / "data", "--demo", "--no-worker"):
        completed = run_orderly("backup", "shop.backup", "--data-dir=data", directory=directory)
    assert 0 == completed.returncode, completed.stderr
    return directory / "shop.backup"


@pytest.fixture(scope="module")
def demo_template(demo_backup: Path, new_database: Callable[[str | None], str]) -> str:
    """The name of a database with the demo shop."""
    url = new_database(None)
    restored = run_orderly(
        "restore", str(demo_backup), directory=demo_backup.parent, ORDERLY_DATABASE_URL=url
    )
    assert 0 == restored.returncode, restored.stderr
    wait_until_unused(url)
    return name_of(url)


@pytest.fixture
def shop_url(demo_template: str, new_database: Callable[[str | None], str]) -> str:
    """The URL of a new database with the demo shop."""
    return new_database(demo_template)


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def wait_until_unused(url: str) -> None:
    """Wait until no client is connected to a database."""
    name = name_of(url)
    maintenance = url.replace(f"/{name}", "/postgres")
    clients = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    wait_until(lambda: run_statement(maintenance, clients) == [(0,)])


@contextmanager
def interrupted(
    *arguments: str, fault: str, directory: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the fault; afterwards end what is left of it."""
    with subprocess.Popen(
        [sys.executable, "-c", FAULT_AT_THE_THIRD_TABLE, *arguments],
        cwd=directory,
        env=orderly_environment(FAULT=fault, PYTHONPATH=str(ROOT), **variables),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_frozen(process: subprocess.Popen[bytes]) -> None:
    status = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")
    assert process.poll() is None


@pytest.mark.parametrize("fault", ["killed", "frozen, then continued", "frozen, then killed"])
@pytest.mark.parametrize("command", ["backup", "verify-backup", "restore"])
def test_an_interrupted_command_can_be_repeated(
    command: str,
    fault: str,
    demo_backup: Path,
    shop_url: str,
    new_database: Callable[[str | None], str],
    tmp_path: Path,
) -> None:
    new = tmp_path / "new.backup"
    url = new_database(None) if command == "restore" else shop_url
    arguments = (command, str(new if command == "backup" else demo_backup))
    environment = {"ORDERLY_DATABASE_URL": url, "TMPDIR": str(tmp_path)}

    with interrupted(*arguments, fault=fault, directory=tmp_path, **environment) as process:
        if fault == "killed":
            assert -signal.SIGKILL == process.wait()
        else:
            wait_until_frozen(process)
            assert not new.exists()
            if command == "backup":
                same = run_orderly(*arguments, directory=tmp_path, **environment)
                assert f"orderly: Another backup is writing {new}.\n" == same.stderr
        if fault == "frozen, then continued":
            os.killpg(process.pid, signal.SIGCONT)
            assert 0 == process.wait()
    assert new.exists() == (command == "backup" and fault == "frozen, then continued")

    if fault != "frozen, then continued":
        wait_until_unused(url)
        repeated = run_orderly(*arguments, directory=tmp_path, **environment)
        assert (0, "") == (repeated.returncode, repeated.stderr)
    if command == "backup":
        verified = run_orderly("verify-backup", str(new), directory=tmp_path, **environment)
        assert f"{CONTENTS}.\nAll checks passed.\n" in verified.stdout
        assert not list(tmp_path.glob("*.partial"))
    emails = run_statement(url, "SELECT email FROM users ORDER BY email")
    assert EMAILS == [email for (email,) in emails]


@pytest.mark.parametrize(
    ("arguments", "preparation", "space", "reason"),
    [
        (("backup", "{disk}/new.backup"), "", "20K", "could not write to output file"),
        (("verify-backup", "{backup}"), "", "20M", "could not "),
        (("restore", "{backup}", "--data-dir", "{disk}/data"), "", "20M", "could not "),
        (("restore", "{backup}", "--data-dir", "{disk}/data"), "migrate", "200K", "could not "),
    ],
    ids=["backup", "verify", "restore: creating the database", "restore: loading the rows"],
)
def test_a_command_succeeds_when_a_full_disk_has_space_again(
    demo_backup: Path,
    shop_url: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    preparation: str,
    space: str,
    reason: str,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*ON_A_FULL_DISK[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no user namespaces")
    environment = {"TMPDIR": str(disk)}
    if arguments[0] == "backup":
        environment["ORDERLY_DATABASE_URL"] = shop_url
    command = [argument.format(disk=disk, backup=demo_backup) for argument in arguments]

    completed = subprocess.run(
        [
            *(*ON_A_FULL_DISK, str(tmp_path), str(disk), preparation, space),
            *(sys.executable, "-m", "orderly", *command),
        ],
        cwd=ROOT,
        env=orderly_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )

    message = "orderly: A disk is full. Free space, then repeat the command. ("
    assert 0 == completed.returncode, completed.stderr
    (line,) = completed.stderr.splitlines()
    assert line.startswith(message)
    assert reason in line
    assert "No space left on device" in line
    # Without a partial file or temporary directory.
    assert completed.stdout.startswith("first attempt failed\n")


@pytest.fixture
def daily(shop_url: str, tmp_path: Path) -> DailyBackup:
    return DailyBackup(
        Settings.from_environment(
            {"ORDERLY_DATABASE_URL": shop_url, "ORDERLY_BACKUP_DIR": str(tmp_path / "daily")}
        )
    )


def run_until_written(job: DailyBackup) -> None:
    wait_until(lambda: job() == 1)


def start(job: DailyBackup) -> subprocess.Popen[bytes]:
    """Start a daily backup; return its process."""
    assert 0 == job()
    assert job._running is not None
    return job._running.process


def retry_now(job: DailyBackup) -> None:
    job._next_attempt = 0.0


def test_a_killed_daily_backup_is_an_error_and_repeated(daily: DailyBackup, tmp_path: Path) -> None:
    start(daily).kill()

    with pytest.raises(BackupError, match=r"ended with status -9"):
        wait_until(lambda: daily() == 1)

    retry_now(daily)
    run_until_written(daily)
    assert [".backup"] == [file.suffix for file in (tmp_path / "daily").iterdir()]


def test_a_daily_backup_on_a_full_disk_is_an_error_and_repeated(
    daily: DailyBackup, tmp_path: Path
) -> None:
    # The limit of a file's size stands for the full disk; the child process inherits it.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        start(daily)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.raises(BackupError, match="File too large"):
        wait_until(lambda: daily() == 1)

    assert [] == list((tmp_path / "daily").iterdir())
    retry_now(daily)
    run_until_written(daily)


def test_a_frozen_daily_backup_is_killed_in_the_end(
    daily: DailyBackup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        short.setattr(daily_backup, "_TIME_LIMIT_SECONDS", 0.0)
        process = start(daily)
    process.send_signal(signal.SIGSTOP)

    with pytest.raises(BackupError, match=r"had not ended after 12 hours, and was killed"):
        daily()

    assert -signal.SIGKILL == process.poll()
    retry_now(daily)
    run_until_written(daily)
    assert [".backup"] == [file.suffix for file in (tmp_path / "daily").iterdir()]


def test_a_daily_backup_that_was_frozen_shortly_is_complete(
    daily: DailyBackup, tmp_path: Path
) -> None:
    process = start(daily)
    process.send_signal(signal.SIGSTOP)
    assert 0 == daily()
    process.send_signal(signal.SIGCONT)

    run_until_written(daily)

    assert [".backup"] == [file.suffix for file in (tmp_path / "daily").iterdir()]


def test_the_partial_file_of_a_killed_worker_is_deleted_by_the_next_one(
    daily: DailyBackup, tmp_path: Path
) -> None:
    directory = tmp_path / "daily"
    directory.mkdir()
    for name in ("orderly-2026-11-01T031500Z.backup.partial", "mine.partial"):
        (directory / name).touch(mode=0o600)
    os.utime(directory / "mine.partial", (time.time(), time.time()))

    run_until_written(daily)

    assert {".backup", ".partial"} == {file.suffix for file in directory.iterdir()}
    assert ["mine.partial"] == [file.name for file in directory.glob("*.partial")]
