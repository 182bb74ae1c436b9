"""`orderly backup`, `verify-backup` and `restore`, and the daily backups of the worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from orderly.background.daily_backup import DailyBackup
from orderly.backups.errors import BackupError
from orderly.settings import Settings
from services.demo import ACCOUNTS
from tests.support.embedded_postgresql import connect, run_statement
from tests.support.processes import (
    ROOT,
    orderly_environment,
    run_orderly,
    run_server,
    wait_until,
)

DEMO = "2 users, 24 products, 0 orders"
NOT_EMPTY = (
    "orderly: The shop is not empty. Restore into a new database, or another data directory.\n"
)


@pytest.fixture(scope="module")
def demo_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a demo shop, taken while the shop was served."""
    directory = tmp_path_factory.mktemp("demo")
    with run_server(directory / "data", "--demo"):
        completed = run_orderly(
            *("backup", "--verify", "shop.backup", "--data-dir", "data"), directory=directory
        )

    assert (0, "") == (completed.returncode, completed.stderr)
    lines = completed.stdout.splitlines()
    assert lines[0].startswith("Wrote shop.backup (")
    assert [f"The backup can be restored: {DEMO}.", "All checks passed."] == lines[1:]
    return directory / "shop.backup"


def restore(file: Path, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_orderly(
        *("restore", str(file), "--data-dir", str(data_dir)),
        directory=data_dir.parent,
        **variables,
    )


def test_a_restored_shop_serves_the_same_products_and_accounts(
    demo_backup: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "restored"

    completed = restore(demo_backup, data_dir)

    assert (0, "") == (completed.returncode, completed.stderr)
    assert f"Restored {DEMO}.\nAll checks passed.\n" == completed.stdout
    with run_server(data_dir, "--demo") as server:
        assert 24 == len(server.get("/api/v1/products?limit=100").json()["items"])
        account = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}
        assert 200 == server.post("/api/v1/auth/login", account).status_code


def test_only_its_owner_can_read_a_backup(demo_backup: Path) -> None:
    assert 0o600 == demo_backup.stat().st_mode & 0o777
    assert not list(demo_backup.parent.glob("*.partial"))


def test_a_backup_replaces_a_file_only_if_asked_to(demo_backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.backup"
    file.write_text("mine")
    data_dir = tmp_path / "restored"
    assert 0 == restore(demo_backup, data_dir).returncode

    def backup(*options: str) -> subprocess.CompletedProcess[str]:
        return run_orderly(
            *("backup", str(file), "--data-dir", str(data_dir), *options), directory=tmp_path
        )

    completed = backup()

    assert 1 == completed.returncode
    assert f"orderly: {file} exists. Choose another name, or use --replace.\n" == completed.stderr
    assert "mine" == file.read_text()
    assert 0 == backup("--replace").returncode
    assert b"PGDMP" == file.read_bytes()[:5]


def test_a_shop_with_contents_is_never_overwritten(demo_backup: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert 0 == restore(demo_backup, data_dir).returncode

    completed = restore(demo_backup, data_dir)

    assert (1, NOT_EMPTY) == (completed.returncode, completed.stderr)


def test_a_shop_that_is_being_served_is_not_restored(demo_backup: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with run_server(data_dir):
        completed = restore(demo_backup, data_dir)

    assert 1 == completed.returncode
    assert "is in use by process" in completed.stderr


def test_an_own_server_with_other_clients_is_not_restored(
    demo_backup: Path,
    tmp_path: Path,
    new_database: Callable[[str | None], str],
) -> None:
    url = new_database(None)
    with closing(psycopg2.connect(url)):
        refused = restore(demo_backup, tmp_path / "unused", ORDERLY_DATABASE_URL=url)
    wait_until(
        lambda: (
            run_statement(
                url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            == [(1,)]
        )
    )
    restored = restore(demo_backup, tmp_path / "unused", ORDERLY_DATABASE_URL=url)

    assert 1 == refused.returncode
    assert "Other programs are connected to the database." in refused.stderr
    assert (0, "") == (restored.returncode, restored.stderr)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory."),
        (b"", "pg_restore failed: error: input file is too short (read 0, expected 5)"),
        (b"sku,name,price\n" * 100, "pg_restore failed: error: input file does not appear to be"),
    ],
    ids=["missing", "empty", "another format"],
)
def test_a_file_that_is_no_backup_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)

    completed = restore(file, tmp_path / "data")

    assert 1 == completed.returncode
    assert message in completed.stderr
    assert 1 == len(completed.stderr.splitlines())


def test_a_truncated_backup_is_refused_and_changes_nothing(
    demo_backup: Path, tmp_path: Path
) -> None:
    file, data_dir = tmp_path / "truncated", tmp_path / "data"
    whole = demo_backup.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])

    completed = restore(file, data_dir)

    assert 1 == completed.returncode
    assert completed.stderr.startswith("orderly: pg_restore failed: error: ")
    assert 0 == restore(demo_backup, data_dir).returncode


def test_a_backup_of_a_newer_version_is_refused(demo_backup: Path, tmp_path: Path) -> None:
    newer, data_dir = tmp_path / "newer.backup", tmp_path / "data"
    with run_server(data_dir):
        connection = connect(data_dir)
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO schema_migration VALUES ('9999_future', '', now())")
        connection.close()
        backup = run_orderly(
            *("backup", str(newer), "--data-dir", str(data_dir)), directory=tmp_path
        )
        assert 0 == backup.returncode, backup.stderr

    completed = restore(newer, tmp_path / "other")

    assert 1 == completed.returncode
    assert "made by a newer version of Orderly (migration 9999_future)" in completed.stderr


@pytest.mark.parametrize("delay", [0.0, 0.5, 1.0])
def test_a_killed_restore_can_be_repeated(demo_backup: Path, tmp_path: Path, delay: float) -> None:
    data_dir = tmp_path / "data"
    command = [sys.executable, "-m", "orderly", "restore", str(demo_backup)]
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        cwd=ROOT,
        env=orderly_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: process.poll() is not None or (data_dir / "postgresql.log").exists())
        time.sleep(delay)
        process.kill()

    completed = restore(demo_backup, data_dir)

    # If the first restore was complete, the shop has contents.
    assert completed.returncode == 0 or completed.stderr == NOT_EMPTY, completed.stderr
    audit = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)
    assert "All checks passed.\n" == audit.stdout, audit.stderr


def test_a_killed_backup_leaves_no_file_under_the_name_and_can_be_repeated(
    demo_backup: Path, tmp_path: Path
) -> None:
    data_dir, file = tmp_path / "data", tmp_path / "shop.backup"
    assert 0 == restore(demo_backup, data_dir).returncode
    command = [sys.executable, "-m", "orderly", "backup", str(file), "--data-dir", str(data_dir)]
    with (
        run_server(data_dir, "--demo"),
        subprocess.Popen(
            command, cwd=ROOT, env=orderly_environment(), stdout=subprocess.DEVNULL
        ) as process,
    ):
        partial = Path(f"{file}.partial")
        wait_until(lambda: partial.exists() or process.poll() is not None)
        process.kill()
        process.wait()
        assert not file.exists() or b"PGDMP" == file.read_bytes()[:5]

        completed = run_orderly(
            *("backup", "--replace", str(file), "--data-dir", str(data_dir)), directory=tmp_path
        )

    assert (0, "") == (completed.returncode, completed.stderr)
    assert not partial.exists()


def test_a_full_disk_fails_with_a_message_and_leaves_no_file(
    demo_backup: Path, tmp_path: Path
) -> None:
    data_dir, file = tmp_path / "data", tmp_path / "shop.backup"
    assert 0 == restore(demo_backup, data_dir).returncode
    Path(f"{file}.partial").symlink_to("/dev/full")

    completed = run_orderly("backup", str(file), "--data-dir", str(data_dir), directory=tmp_path)

    assert 1 == completed.returncode
    assert "No space left on device" in completed.stderr
    assert [] == list(tmp_path.glob("shop.backup*"))


def daily_backup(data_dir: Path, directory: Path) -> DailyBackup:
    return DailyBackup(
        Settings.from_environment(
            {
                "ORDERLY_DATA_DIR": str(data_dir),
                "ORDERLY_BACKUP_DIR": str(directory),
                "ORDERLY_BACKUPS_KEPT": "2",
            }
        )
    )


def run_until_done(job: DailyBackup) -> int:
    wait_until(lambda: job() > 0)
    return job()


def test_the_worker_keeps_the_newest_daily_backups(demo_backup: Path, tmp_path: Path) -> None:
    data_dir, directory = tmp_path / "data", tmp_path / "backups"
    assert 0 == restore(demo_backup, data_dir).returncode
    directory.mkdir()
    yesterday = time.time() - 24 * 3600
    names = [f"orderly-2026-11-0{day}T031500Z.backup" for day in (1, 2, 3)]
    for name in (*names, "mine.backup"):
        (directory / name).write_text("old")
        os.utime(directory / name, (yesterday, yesterday))
    job = daily_backup(data_dir, directory)

    again = run_until_done(job)

    assert 0 == again
    kept = sorted(file.name for file in directory.iterdir())
    assert ["mine.backup", names[2]] == [*kept[:2]]
    assert 3 == len(kept)
    assert b"PGDMP" == (directory / kept[2]).read_bytes()[:5]


def test_a_failed_daily_backup_is_an_error_with_its_reason(tmp_path: Path) -> None:
    job = daily_backup(tmp_path / "data", tmp_path / "backups")

    with pytest.raises(BackupError, match=r"The database is not up to date\."):
        run_until_done(job)

    assert [] == list((tmp_path / "backups").iterdir())


def test_the_server_writes_a_backup_of_a_new_shop(tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    with run_server(tmp_path / "data", ORDERLY_BACKUP_DIR=str(directory)) as server:
        wait_until(lambda: "backup_written" in server.stderr)

    assert 1 == len(list(directory.glob("orderly-*Z.backup")))
