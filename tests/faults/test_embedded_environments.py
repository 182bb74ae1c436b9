"""The embedded PostgreSQL with unusual paths, environments, users and damaged files."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

from orderly.embedded import (
    EmbeddedPostgreSQL,
    UnsupportedSystemError,
    UnusableDirectoryError,
    running_url,
)
from tests.support.embedded_postgresql import START_SCRIPT, postmaster_pid, run_statement

# Runs a command as root of a user namespace in which no further user namespaces can be created.
WITHOUT_NAMESPACES = [
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
]

# Runs a command as root of a machine that has only the accounts in a file.
WITH_ACCOUNTS = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount --bind "$0" /etc/passwd && exec "$@"',
]


def test_a_password_is_required_and_only_the_owner_can_read_its_file(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
        with pytest.raises(psycopg2.OperationalError, match="password"):
            run_statement(url.replace("orderly:", "orderly:wrong-"), "SELECT 1")
        for name in ("postgresql-password", "postgresql-socket"):
            assert 0o600 == stat.S_IMODE((tmp_path / name).stat().st_mode)
        assert 0o700 == stat.S_IMODE((tmp_path / "socket").stat().st_mode)


@pytest.mark.parametrize("name", ["d" * 120, "data 100% 'ü'", "a,b"])
def test_any_path_works_and_a_restart_keeps_the_url(tmp_path: Path, name: str) -> None:
    database = EmbeddedPostgreSQL(tmp_path / name, fsync=False)
    url = database.start()
    database.stop()
    with database as url_after_restart:
        assert url == url_after_restart
        assert [(1,)] == run_statement(url, "SELECT 1")


def test_environment_variables_of_postgresql_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_path = tmp_path / ("t" * 120)
    long_path.mkdir()
    with monkeypatch.context() as environment:
        environment.setenv("PGPORT", "6000")
        environment.setenv("PGDATA", "/nowhere")
        environment.setattr(tempfile, "tempdir", str(long_path))
        database = EmbeddedPostgreSQL(long_path / "data", fsync=False)
        database.start()
    try:
        url = running_url(long_path / "data")
        assert url
        assert [(1,)] == run_statement(url, "SELECT 1")
    finally:
        database.stop()


def test_the_log_contains_no_stored_data(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False) as url:
        run_statement(url, "CREATE TABLE people (email text PRIMARY KEY)")
        run_statement(url, "INSERT INTO people VALUES ('ada@example.com')")
        with pytest.raises(psycopg2.IntegrityError):
            run_statement(url, "INSERT INTO people VALUES ('ada@example.com')")

    assert "ada@" not in (tmp_path / "postgresql.log").read_text()
    assert 0o600 == stat.S_IMODE((tmp_path / "postgresql.log").stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
def test_root_needs_no_new_account_and_changes_no_permissions(tmp_path: Path) -> None:
    accounts = Path("/etc/passwd").read_bytes()
    parent_modes = [(folder, folder.stat().st_mode) for folder in tmp_path.parents]
    data_dir = tmp_path / "data"
    server = EmbeddedPostgreSQL(data_dir, fsync=False)
    # Where user namespaces are forbidden, PostgreSQL runs as an existing account.
    owner = 0 if server.account is None else pwd.getpwnam(server.account).pw_uid

    with server as url:
        assert [(1,)] == run_statement(url, "SELECT 1")
        assert owner == Path(f"/proc/{postmaster_pid(data_dir)}").stat().st_uid

    assert accounts == Path("/etc/passwd").read_bytes()
    assert parent_modes == [(folder, folder.stat().st_mode) for folder in tmp_path.parents]
    assert {owner} == {file.stat().st_uid for file in (data_dir / "postgresql").rglob("*")}
    assert (0, 0o700) == (data_dir.stat().st_uid, stat.S_IMODE(data_dir.stat().st_mode))


def test_root_needs_no_other_account_than_nobody(tmp_path: Path, repository: Path) -> None:
    accounts = tmp_path / "passwd"
    accounts.write_text(
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
    )
    as_root = [*WITH_ACCOUNTS, str(accounts)]
    if subprocess.run([*as_root, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no user namespaces")
    script = START_SCRIPT.replace("time.sleep(60)", "database.stop()")

    completed = subprocess.run(
        [*as_root, sys.executable, "-c", script, str(tmp_path / "data")],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "ready\n") == (completed.returncode, completed.stdout), completed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can use another account")
def test_root_can_run_postgresql_as_a_system_account(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    parent_modes = [(folder, folder.stat().st_mode) for folder in tmp_path.parents]
    with EmbeddedPostgreSQL(data_dir, fsync=False) as url:
        run_statement(url, "CREATE TABLE saved AS SELECT 7 AS value")

    with EmbeddedPostgreSQL(data_dir, account="nobody", fsync=False) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")
        nobody = pwd.getpwnam("nobody").pw_uid
        assert nobody == Path(f"/proc/{postmaster_pid(data_dir)}").stat().st_uid
        assert {nobody} == {file.stat().st_uid for file in (data_dir / "postgresql").rglob("*")}
    # The account cannot reach the data directory, which also contains the signing key.
    assert (0, 0o700) == (data_dir.stat().st_uid, stat.S_IMODE(data_dir.stat().st_mode))
    assert parent_modes == [(folder, folder.stat().st_mode) for folder in tmp_path.parents]

    with EmbeddedPostgreSQL(data_dir, fsync=False) as url:
        assert [(7,)] == run_statement(url, "SELECT value FROM saved")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can use another account")
def test_a_system_account_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSystemError, match="ORDERLY_DATABASE_SYSTEM_USER"):
        EmbeddedPostgreSQL(tmp_path, account="no-such-account").start()


def test_root_without_user_namespaces_and_other_accounts_gets_an_error_with_a_remedy(
    tmp_path: Path, repository: Path
) -> None:
    if subprocess.run([*WITHOUT_NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no user namespaces")

    completed = subprocess.run(
        [*WITHOUT_NAMESPACES, sys.executable, "-c", START_SCRIPT, str(tmp_path)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "PostgreSQL refuses to run as root, and root cannot" in completed.stderr
    assert "Run orderly as another user, or set ORDERLY_DATABASE_URL" in completed.stderr


def test_a_data_directory_of_another_major_version_is_an_error(tmp_path: Path) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pass
    (tmp_path / "postgresql" / "PG_VERSION").write_text("9\n")

    with pytest.raises(UnusableDirectoryError, match="created by PostgreSQL 9"):
        EmbeddedPostgreSQL(tmp_path).start()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("postgresql/PG_VERSION", "is not a PostgreSQL database cluster"),
        ("postgresql-password", "Copy it"),
    ],
)
def test_a_missing_file_is_an_error_with_a_remedy(tmp_path: Path, name: str, message: str) -> None:
    with EmbeddedPostgreSQL(tmp_path, fsync=False):
        pass
    (tmp_path / name).unlink()

    with pytest.raises(UnusableDirectoryError, match=message):
        EmbeddedPostgreSQL(tmp_path).start()


def test_a_data_directory_that_every_user_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(UnusableDirectoryError, match=r"\(mode 0777\).*--data-dir.*chmod o-w"):
        EmbeddedPostgreSQL(tmp_path).start()

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["postgresql-password", "postgresql-runtime-password"])
def test_a_password_that_every_user_can_write_to_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("planted")
    (tmp_path / name).chmod(0o666)

    with pytest.raises(UnusableDirectoryError, match=f"{name} \\(mode 0666\\).*chmod 0600"):
        EmbeddedPostgreSQL(tmp_path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a file")
@pytest.mark.parametrize("name", ["", "postgresql-runtime-password"])
def test_a_data_directory_or_password_of_another_user_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "postgresql-runtime-password").write_text("planted")
    os.chown(tmp_path / name, 12345, -1)

    with pytest.raises(UnusableDirectoryError, match=r"belongs to another user \(id 12345\)"):
        EmbeddedPostgreSQL(tmp_path).start()


def test_a_data_directory_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnusableDirectoryError, match="--data-dir"):
        EmbeddedPostgreSQL(tmp_path / "file" / "data").start()
