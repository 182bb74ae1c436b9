"""`orderly check-config`: the settings in force, without secrets, and whether they work."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.embedded_postgresql import run_statement
from tests.support.processes import run_orderly, run_server
from tests.support.smtp_server import HOST, PASSWORD, smtp_server, smtp_settings
from tests.support.stripe_server import SECRET_KEY, WEBHOOK_SECRET, run_stripe_server

KEY = "a signing key for tests, 32 bytes long"


def check_config(directory: Path, *options: str, **variables: str) -> tuple[int, str, list[str]]:
    """Run the command; return its exit status, the table of settings, and the results."""
    completed = run_orderly("check-config", *options, directory=directory, **variables)
    table, _, results = completed.stdout.partition("\n\n")
    return completed.returncode, table, [*results.splitlines(), *completed.stderr.splitlines()]


def row(table: str, name: str) -> list[str]:
    """Return value and origin of a setting in the table."""
    (line,) = re.findall(rf"^ORDERLY_{name} .*$", table, re.MULTILINE)
    return re.split(r"\s{2,}", line)[1:]


def test_an_empty_directory_is_no_problem_and_stays_empty(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"

    status, table, results = check_config(
        tmp_path, f"--data-dir={data_dir}", ORDERLY_PORT="8080", ORDERLY_COOKIE_SECURE="yes"
    )

    assert 0 == status
    assert ["8080", "environment"] == row(table, "PORT")
    assert [str(data_dir), "option"] == row(table, "DATA_DIR")
    assert ["true", "environment"] == row(table, "COOKIE_SECURE")
    assert ["none", "default"] == row(table, "DATABASE_URL")
    assert [
        f"note    database: {data_dir} has no shop yet: the first start creates one.",
        f"note    signing key: The first start creates one in {data_dir}.",
        "note    payments: sandbox: customers can pay without money.",
        "note    mail: Mails are not sent: everyone can read them at /sandbox/mail.",
    ] == results
    assert [] == list(tmp_path.iterdir())


def test_all_is_tried_and_no_secret_is_printed(
    tmp_path: Path, database_url: str, runtime_url: str, runtime_role: tuple[str, str]
) -> None:
    (tmp_path / "url").write_text(runtime_url)
    (tmp_path / "key").write_text(KEY)
    with run_stripe_server() as stripe, smtp_server(tmp_path) as mail:
        status, table, results = check_config(
            tmp_path,
            **smtp_settings(mail),
            ORDERLY_DATABASE_URL_FILE=str(tmp_path / "url"),
            ORDERLY_DATABASE_OWNER_URL=database_url,
            ORDERLY_SIGNING_KEY_FILE=str(tmp_path / "key"),
            ORDERLY_STRIPE_SECRET_KEY=SECRET_KEY,
            ORDERLY_STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
            ORDERLY_STRIPE_URL=stripe.url,
        )

    role, password = runtime_role
    assert 0 == status
    value, origin = row(table, "DATABASE_URL")
    assert f"file {tmp_path / 'url'}" == origin
    assert value.startswith(f"user={role} ")
    assert ["(secret)", f"file {tmp_path / 'key'}"] == row(table, "SIGNING_KEY")
    assert ["(secret)", "environment"] == row(table, "STRIPE_SECRET_KEY")
    output = table + "\n".join(results)
    database_password = urlsplit(database_url).password
    for secret in (password, database_password, KEY, SECRET_KEY, WEBHOOK_SECRET, PASSWORD):
        assert secret
        assert secret not in output
    database, *others = results
    assert re.fullmatch(rf"ok      database: PostgreSQL [\d.]+, connected as {role}", database)
    assert [
        "ok      signing key: set by ORDERLY_SIGNING_KEY",
        "ok      payments: stripe accepts the secret key",
        f"ok      mail: {HOST} accepts the connection",
    ] == others


def test_what_orderly_could_not_use_is_a_problem(
    tmp_path: Path, postgresql: str, runtime_url: str, runtime_role: tuple[str, str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "order_paid.md").write_text("{% if %}")
    with run_stripe_server() as stripe:
        status, table, results = check_config(
            tmp_path,
            ORDERLY_DATABASE_URL=runtime_url,
            ORDERLY_DATABASE_OWNER_URL=postgresql,  # the maintenance database
            ORDERLY_DATA_DIR=str(tmp_path / "file"),
            ORDERLY_BACKUP_DIR=str(tmp_path / "file"),
            ORDERLY_MAIL_TEMPLATES=str(tmp_path),
            ORDERLY_SMTP_HOST="127.0.0.1",
            ORDERLY_SMTP_PORT="1",
            ORDERLY_MAIL_FROM="shop@example.com",
            ORDERLY_SHOP_URL="https://shop.example.com/",
            ORDERLY_STRIPE_SECRET_KEY="sk_test_wrong",
            ORDERLY_STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
            ORDERLY_STRIPE_URL=stripe.url,
        )

    assert 1 == status
    assert "sk_test_wrong" not in table
    not_a_directory = f"{tmp_path / 'file'} is not a directory that this user can write to."
    assert [
        "database: ORDERLY_DATABASE_OWNER_URL: Names another database than ORDERLY_DATABASE_URL.",
        f"signing key: {not_a_directory}",
        "payments: stripe refuses the secret key.",
        "mail: ORDERLY_MAIL_TEMPLATES: order_paid.md: Expected an expression, got"
        " 'end of statement block'.",
        "mail: 127.0.0.1: [Errno 111] Connection refused.",
        f"backups: {not_a_directory}",
    ] == [result[8:] for result in results if result.startswith("problem ")]


def test_a_database_that_refuses_the_password_is_a_problem(
    tmp_path: Path, runtime_url: str, runtime_role: tuple[str, str]
) -> None:
    role, password = runtime_role

    status, _, results = check_config(
        tmp_path, ORDERLY_DATABASE_URL=runtime_url.replace(password, "hunter2")
    )

    assert 1 == status
    assert "hunter2" not in "".join(results)
    assert f'password authentication failed for user "{role}"' in results[0]


@pytest.mark.parametrize("running", [False, True])
def test_a_shop_with_the_passwords_of_the_demo_is_a_problem(tmp_path: Path, running: bool) -> None:
    data_dir = tmp_path / "data"
    with run_server(data_dir, "--demo"):
        if running:
            status, _, results = check_config(tmp_path, f"--data-dir={data_dir}")
    if not running:
        status, _, results = check_config(tmp_path, f"--data-dir={data_dir}")

    assert 1 == status
    assert results[0].startswith("ok      database: embedded PostgreSQL ")
    assert results[1].startswith("problem shop: --demo: Is required")


def test_limits_that_are_too_small_and_a_standby_are_reported(
    tmp_path: Path, postgresql: str, empty_database_url: str
) -> None:
    name = urlsplit(empty_database_url).path.strip("/")
    run_statement(postgresql, f"ALTER DATABASE {name} CONNECTION LIMIT 20")
    run_statement(postgresql, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    status, _, results = check_config(
        tmp_path,
        ORDERLY_DATABASE_URL=empty_database_url,
        ORDERLY_HOST="0.0.0.0",
        ORDERLY_REQUEST_LIMIT="0",
    )

    assert 1 == status
    assert "problem database: It is a standby or read-only: nobody could order." in results
    assert (
        "note    database: Allows 20 connections; this machine can use 34:"
        " (ORDERLY_WORKERS + 1) x (ORDERLY_THREADS + 1)." in results
    )
    assert any("Pending migrations" in result for result in results)
    assert any("ORDERLY_TRUSTED_PROXIES" in result for result in results)
    assert any("ORDERLY_REQUEST_LIMIT is 0" in result for result in results)


def test_invalid_settings_are_listed_and_nothing_is_tried(tmp_path: Path) -> None:
    status, table, results = check_config(tmp_path, ORDERLY_PORT="x", ORDERLY_PROT="1")

    assert (2, "") == (status, table)
    assert ["orderly: ORDERLY_PORT", "orderly: ORDERLY_PROT"] == [
        result.rpartition(": ")[0] for result in results
    ]
