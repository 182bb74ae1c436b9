"""The commands other than `serve`, with and without a running server."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pytest
import yaml

from orderly import __version__
from orderly.embedded import running_url
from services.demo_data import ARTICLES
from tests.support.processes import orderly_environment, run_orderly, run_server, wait_until

PASSWORD = "a long enough passphrase"
CREDENTIALS = {"email": "ada@example.com", "password": PASSWORD}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def create_admin(
    data_dir: Path, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `orderly create-admin` for Ada, with her password on standard input."""
    return run_orderly(
        "create-admin",
        *(options or (CREDENTIALS["email"],)),
        "--name=Ada",
        f"--data-dir={data_dir}",
        directory=data_dir.parent,
        stdin=f"{PASSWORD}\n",
        **variables,
    )


def test_help_and_version_need_no_valid_settings_and_create_no_files(tmp_path: Path) -> None:
    assert f"orderly {__version__}\n" == run_orderly("--version", directory=tmp_path).stdout
    for command in ("serve", "migrate", "create-admin", "openapi", "audit"):
        assert 0 == run_orderly(command, "--help", directory=tmp_path, ORDERLY_PORT="x").returncode
    assert [] == list(tmp_path.iterdir())


def test_an_administrator_can_be_created_before_the_first_start(data_dir: Path) -> None:
    completed = create_admin(data_dir)

    assert (0, "Created the administrator ada@example.com.\n", "") == (
        completed.returncode,
        completed.stdout,
        completed.stderr,
    )
    with run_server(data_dir) as server:
        response = server.post("/api/v1/auth/login", CREDENTIALS)
        assert "ADMIN" == response.json()["user"]["role"]


def test_an_administrator_can_be_created_while_the_server_runs(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert 0 == create_admin(data_dir).returncode

        assert 200 == server.post("/api/v1/auth/login", CREDENTIALS).status_code
        error = "orderly: This email is already registered.\n"
        assert error == create_admin(data_dir).stderr


def test_the_password_can_come_from_an_environment_variable(data_dir: Path) -> None:
    other = "another long passphrase"
    create_admin(data_dir, ORDERLY_ADMIN_PASSWORD=other)

    with run_server(data_dir) as server:
        credentials = {**CREDENTIALS, "password": other}
        assert 200 == server.post("/api/v1/auth/login", credentials).status_code


def test_the_password_can_come_from_a_file(data_dir: Path, tmp_path: Path) -> None:
    other = "another long passphrase"
    file = tmp_path / "password"
    missing = create_admin(data_dir, ORDERLY_ADMIN_PASSWORD_FILE=str(file))
    assert (2, "orderly: ORDERLY_ADMIN_PASSWORD_FILE: The file cannot be read") == (
        missing.returncode,
        missing.stderr.rpartition(":")[0],
    )

    file.write_text(f"{other}\n")
    create_admin(data_dir, ORDERLY_ADMIN_PASSWORD_FILE=str(file))

    with run_server(data_dir) as server:
        credentials = {**CREDENTIALS, "password": other}
        assert 200 == server.post("/api/v1/auth/login", credentials).status_code


def test_a_terminal_prompts_for_the_password_twice_and_does_not_echo_it(data_dir: Path) -> None:
    command = ["create-admin", "ada@example.com", "--name", "Ada", "--data-dir", str(data_dir)]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "orderly", *command],
            orderly_environment(TERM="dumb"),
        )
    output = b""
    for prompt in (b"Password: ", b"Repeat for confirmation: "):
        while not output.endswith(prompt):
            output += os.read(terminal, 1024)
        os.write(terminal, PASSWORD.encode() + b"\n")
    while True:
        try:
            output += os.read(terminal, 1024)
        except OSError:  # Linux raises EIO at the end of a pseudo-terminal
            break
    os.close(terminal)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert b"Created the administrator" in output
    assert PASSWORD.encode() not in output


@pytest.mark.parametrize(
    ("email", "password", "error"),
    [
        ("not an email", PASSWORD, "email: is not valid"),
        ("ada@example.com", "short", "password: must have at least"),
        ("ada@example.com", "", "password: must have at least"),
        ("ada@example.com", "password1234", "The password is refused"),
    ],
)
def test_create_admin_checks_email_and_password_as_the_contract_does(
    data_dir: Path, email: str, password: str, error: str
) -> None:
    completed = create_admin(data_dir, email, ORDERLY_ADMIN_PASSWORD=password or "\n")

    assert completed.returncode in {1, 2}
    assert completed.stderr.startswith(f"orderly: {error}")
    assert "Traceback" not in completed.stderr
    assert 1 == len(completed.stderr.splitlines())


def test_migrate_lists_the_applied_migrations_and_a_second_run_applies_none(data_dir: Path) -> None:
    first, second = (
        run_orderly("migrate", f"--data-dir={data_dir}", directory=data_dir.parent)
        for _ in range(2)
    )

    assert 0 == first.returncode == second.returncode
    assert all(line.startswith("applied 0") for line in first.stdout.splitlines())
    assert "The database is up to date.\n" == second.stdout
    assert "" == first.stderr + second.stderr


def test_commands_use_the_database_of_the_setting(tmp_path: Path, empty_database_url: str) -> None:
    variables = {"ORDERLY_DATABASE_URL": empty_database_url, "ORDERLY_SIGNING_KEY": "k" * 32}

    assert 0 == run_orderly("migrate", directory=tmp_path, **variables).returncode
    assert 0 == create_admin(tmp_path / "unused", **variables).returncode
    assert 0 == run_orderly("audit", directory=tmp_path, **variables).returncode
    assert [] == list(tmp_path.iterdir())


def test_audit_lists_the_violations_and_exits_with_1(data_dir: Path) -> None:
    with run_server(data_dir, "--demo"):
        consistent = run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent)
        url = running_url(data_dir)
        assert url is not None
        connection = psycopg2.connect(url)
        connection.cursor().execute("UPDATE stock SET quantity = quantity + 1")
        connection.commit()
        connection.close()
        inconsistent = run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent)

    assert (0, 1) == (consistent.returncode, len(consistent.stdout.splitlines()))
    assert 1 == inconsistent.returncode
    assert len(ARTICLES) == len(inconsistent.stdout.splitlines())
    assert all(
        "stock is the sum of its movements: " in line for line in inconsistent.stdout.splitlines()
    )
    assert "" == consistent.stderr + inconsistent.stderr


def test_openapi_prints_the_document_that_the_server_serves(data_dir: Path) -> None:
    as_json = run_orderly("openapi", "--format=json", directory=data_dir.parent).stdout
    as_yaml = run_orderly("openapi", "--format=yaml", directory=data_dir.parent).stdout

    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    with run_server(data_dir) as server:
        assert server.get("/openapi.json").json() == json.loads(as_json)


PRODUCTS = """\
sku,name,description,price,stock
MUG,Mug,"=not, a formula",19.90,7
LAMP,Lamp,,49.00,
"""


def test_products_can_be_imported_from_a_file_and_exported_to_a_file(
    data_dir: Path, tmp_path: Path
) -> None:
    def run(*arguments: str, stdin: str = "") -> tuple[int, list[str]]:
        completed = run_orderly(
            *arguments, f"--data-dir={data_dir}", directory=tmp_path, stdin=stdin
        )
        lines = [*completed.stdout.splitlines(), *completed.stderr.splitlines()]
        return completed.returncode, lines

    not_migrated = "orderly: The database is not up to date. Run `orderly migrate`."
    assert (1, [not_migrated]) == run("export-products") == run("audit")
    assert (0, ["Dry run, nothing is changed: 2 created, 0 updated, 0 unchanged."]) == run(
        "import-products", "-", "--dry-run", stdin=PRODUCTS
    )
    assert (0, ["2 created, 0 updated, 0 unchanged."]) == run(
        "import-products", "-", stdin=PRODUCTS
    )
    assert (0, []) == run("export-products", "--output=shop.csv")
    assert '"MUG","Mug","\'=not, a formula","19.90","EUR","7"' in (
        (tmp_path / "shop.csv").read_text().splitlines()
    )
    assert (0, ["0 created, 0 updated, 2 unchanged."]) == run("import-products", "shop.csv")
    with_error = PRODUCTS.replace("7\n", "9\n").replace("49.00", "expensive")
    for dry_run in ([], ["--dry-run"]):
        status, lines = run("import-products", "-", *dry_run, stdin=with_error)
        assert (1, "orderly: line 3: price") == (status, lines[0][:22])
        assert "orderly: Nothing was imported: 1 line is invalid." == lines[-1]
    assert (0, ["0 created, 1 updated, 0 unchanged, 1 invalid."]) == (
        (run("import-products", "-", "--skip-faulty", stdin=with_error)[0]),
        run("import-products", "-", "--skip-faulty", stdin=with_error.replace("9\n", "8\n"))[1][:1],
    )
    assert (0, ["All checks passed."]) == run("audit")
    # Every write to /dev/full fails, as on a full disk.
    full = "orderly: The file is incomplete: No space left on device"
    assert (1, [full]) == run("export-products", "--output=/dev/full")


def test_a_full_disk_is_a_one_line_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        completed = subprocess.run(
            [sys.executable, "-m", "orderly", "openapi"],
            cwd=tmp_path,
            env=orderly_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    message = "A disk is full. Free space, then repeat the command. (No space left on device.)"
    assert (1, f"orderly: {message}\n") == (completed.returncode, completed.stderr)


def test_a_closed_output_pipe_prints_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "orderly", "openapi"],
        cwd=tmp_path,
        env=orderly_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert b"" == process.stderr.read()
    process.stderr.close()
    assert 1 == process.wait()


@pytest.mark.parametrize("seconds", [0, 0.2, 0.5])
def test_an_interrupted_command_leaves_the_database_usable(data_dir: Path, seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "orderly", "migrate", "--data-dir", str(data_dir)],
        cwd=data_dir.parent,
        env=orderly_environment(),
        stderr=subprocess.PIPE,
    )
    wait_until((data_dir / "lock").exists)  # until then, Python is still starting
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode in {0, 130}
    assert b"Traceback" not in stderr
    assert (
        0 == run_orderly("migrate", f"--data-dir={data_dir}", directory=data_dir.parent).returncode
    )
