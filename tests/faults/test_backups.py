"""`orderly backup`, `verify-backup` and `restore`, and the daily backups of the worker."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from database import binding, migrations, roles
from database.restore import ShopNotEmpty
from orderly.background.daily_backup import DailyBackup
from orderly.backups import archive, programs
from orderly.backups import restore as restoring
from orderly.backups.errors import BackupError
from orderly.backups.restore import RestoreResult
from orderly.settings import Settings
from services import schema
from services.demo import ACCOUNTS
from tests.support.demo_contents import CONTENTS
from tests.support.embedded_postgresql import connect, run_statement
from tests.support.processes import (
    ROOT,
    orderly_environment,
    run_orderly,
    run_server,
    wait_until,
)

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
    assert [f"The backup can be restored: {CONTENTS}.", "All checks passed."] == lines[1:]
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
    assert f"Restored {CONTENTS}.\nAll checks passed.\n" == completed.stdout
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


@pytest.fixture
def shop_url(new_database: Callable[[str | None], str], migrated_template: str) -> str:
    """The URL of an empty shop, as the owner of its tables."""
    return new_database(migrated_template)


def write(url: str, file: Path) -> None:
    archive.write(url, file, schema.tables(), replace=False, on_table=lambda _: None)


def restore_into(url: str, file: Path) -> RestoreResult:
    try:
        return restoring.restore(url, None, file, on_table=lambda _: None)
    finally:
        binding.close()


def test_a_full_disk_fails_with_a_message_and_leaves_no_file(shop_url: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(BackupError, match=r"pg_dump failed: .*File too large"):
            write(shop_url, tmp_path / "shop.backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [] == list(tmp_path.iterdir())


def test_the_partial_file_of_a_killed_backup_is_replaced(shop_url: str, tmp_path: Path) -> None:
    partial = tmp_path / "shop.backup.partial"
    partial.touch(mode=0o600)
    with partial.open() as old:
        write(shop_url, tmp_path / "shop.backup")

        assert "" == old.read()
    assert ["shop.backup"] == [file.name for file in tmp_path.iterdir()]


def test_two_backups_do_not_write_the_same_file(shop_url: str, tmp_path: Path) -> None:
    partial = tmp_path / "shop.backup.partial"
    partial.touch(mode=0o600)
    with partial.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(BackupError, match="Another backup is writing"):
            write(shop_url, tmp_path / "shop.backup")

    assert partial.exists()


@pytest.mark.parametrize("kind", ["symbolic link", "file of another user", "accessible file"])
def test_a_backup_is_never_written_to_a_file_that_another_user_planted(
    shop_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    victim, partial = tmp_path / "victim", tmp_path / "shop.backup.partial"
    victim.write_text("mine")
    if kind == "symbolic link":
        partial.symlink_to(victim)
    else:
        partial.touch(mode=0o600)
        partial.chmod(0o666 if kind == "accessible file" else 0o600)
    if kind == "file of another user":  # only root could create one
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(BackupError, match="is not a partial backup of yours"):
        write(shop_url, tmp_path / "shop.backup")

    assert "mine" == victim.read_text()
    assert kind == "symbolic link" or b"" == partial.read_bytes()


@pytest.mark.parametrize(
    ("command", "statement", "status"),
    [
        ("verify-backup", rb"CREATE (?:UNIQUE )?INDEX [^;]{60,400};\n", 0),
        ("restore", rb"COPY \S+ \([^)]{60,400}\) FROM stdin;\n", 1),
    ],
    ids=["verify", "restore"],
)
def test_no_sql_of_a_tampered_backup_is_executed(
    demo_backup: Path, tmp_path: Path, command: str, statement: bytes, status: int
) -> None:
    # In a directory where PostgreSQL can write, whatever its user.
    with tempfile.TemporaryDirectory(prefix="orderly-") as name:
        directory, file = Path(name), tmp_path / "shop.backup"
        directory.chmod(0o777)
        archived = demo_backup.read_bytes()
        replaced = max(re.findall(statement, archived), key=len)
        attack = f"COPY (SELECT 1) TO PROGRAM 'cat >{directory}/executed';".encode()
        file.write_bytes(archived.replace(replaced, attack.ljust(len(replaced) - 1) + b"\n", 1))

        completed = run_orderly(
            *(command, str(file)), directory=tmp_path, ORDERLY_DATA_DIR=str(tmp_path / "data")
        )

        assert [] == list(directory.iterdir())
    assert status == completed.returncode, completed.stderr
    assert status == 0 or "is not a backup that Orderly wrote: table" in completed.stderr


def test_the_migrations_create_the_schema_of_a_restored_shop(
    shop_url: str, tmp_path: Path, new_database: Callable[[str | None], str]
) -> None:
    expected, file, url = dump_schema(shop_url), tmp_path / "shop.backup", new_database(None)
    run_statement(shop_url, "CREATE INDEX by_name ON users ((upper(name)))")
    run_statement(shop_url, "ALTER TABLE users ALTER name SET DEFAULT lower('A')")
    run_statement(shop_url, "CREATE RULE no_users AS ON DELETE TO users DO INSTEAD NOTHING")
    write(shop_url, file)

    restore_into(url, file)

    assert expected == dump_schema(url)


def test_a_restore_interrupted_before_the_grants_can_be_repeated(
    shop_url: str,
    tmp_path: Path,
    new_database: Callable[[str | None], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, url = tmp_path / "shop.backup", new_database(None)
    insert_user(shop_url, "Ada Lovelace")
    write(shop_url, file)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(roles, "grant", interrupt)
        with pytest.raises(KeyboardInterrupt):
            restoring.restore(url, url, file, on_table=lambda _: None)
    binding.close()

    assert 1 == restore_into(url, file).row_counts.users
    with pytest.raises(ShopNotEmpty):
        restore_into(url, file)


def dump_schema(url: str) -> list[str]:
    with programs.output("pg_dump", "--schema-only", "--no-privileges", f"--dbname={url}") as lines:
        text = [line.decode() for line in lines]
    # A random key in each dump.
    return [line for line in text if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_a_backup_of_an_older_version_is_migrated_with_its_rows(
    tmp_path: Path, new_database: Callable[[str | None], str]
) -> None:
    old, new, file = new_database(None), new_database(None), tmp_path / "shop.backup"
    migrations.apply(url=old, last="0009_ended_sessions")
    insert_user(old, r"tab\t, newline\n, end of data\n\\.\n, null \\N, é")
    users = run_statement(old, "SELECT id, email, name, created_at FROM users")
    write(old, file)

    restored = restore_into(new, file)

    assert (1, []) == (restored.row_counts.users, restored.findings)
    assert users == run_statement(new, "SELECT id, email, name, created_at FROM users")
    names = [(name,) for name in migrations.known_migrations()]
    assert names == run_statement(new, "SELECT name FROM schema_migration ORDER BY name")


def insert_user(url: str, name: str) -> None:
    """Insert a user; `name` has the escapes of PostgreSQL's E'' strings."""
    run_statement(
        url,
        "INSERT INTO users (id, email, name, password_hash, role, active, created_at, updated_at)"
        f" VALUES (gen_random_uuid(), 'ada@example.com', E'{name}', '', 'CLIENT', true, now(),"
        " now())",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER TABLE users ADD COLUMN extra text", "table users differs in column extra"),
        ("ALTER TABLE stock DROP COLUMN quantity", "table stock differs in column quantity"),
        ("DROP TABLE stock", "table stock is missing"),
        (
            "ALTER TABLE users DROP CONSTRAINT ck_users_role; UPDATE users SET role = 'ROOT'",
            'new row for relation "users" violates check constraint "ck_users_role"',
        ),
        (
            "UPDATE schema_migration SET checksum = '' WHERE name = '0003_orders'",
            "was made with another migration 0003_orders",
        ),
        (
            "DELETE FROM schema_migration WHERE name = '0003_orders'",
            "was made with another migration 0003_orders",
        ),
    ],
    ids=["column", "missing column", "missing table", "row", "checksum", "missing migration"],
)
def test_a_backup_of_other_tables_is_refused(
    shop_url: str,
    tmp_path: Path,
    new_database: Callable[[str | None], str],
    change: str,
    message: str,
) -> None:
    url, file = new_database(None), tmp_path / "shop.backup"
    insert_user(shop_url, "Ada")
    run_statement(shop_url, change)
    write(shop_url, file)

    with pytest.raises(BackupError) as raised:
        restore_into(url, file)

    assert message in str(raised.value)
