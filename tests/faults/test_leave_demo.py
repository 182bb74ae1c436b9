"""`orderly leave-demo`: a shop is not served without `--demo` while its passwords are public."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services import demo
from services.demo import ACCOUNTS
from tests.support.processes import Server, run_orderly, run_server

SIGN_INS = [{"email": account.email, "password": account.password} for account in ACCOUNTS]
NEW_PASSWORD = "brew-42-slow-mornings"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def serve_error(data_dir: Path, *arguments: str, **variables: str) -> str:
    """Start a server that must be refused; return the error."""
    completed = run_orderly(
        *("serve", "--data-dir", str(data_dir), "--port", "0", *arguments),
        directory=data_dir.parent,
        **variables,
    )
    assert (2, "") == (completed.returncode, completed.stdout), completed.stderr
    return completed.stderr


def leave_demo(data_dir: Path, **variables: str) -> str:
    completed = run_orderly(
        "leave-demo", f"--data-dir={data_dir}", directory=data_dir.parent, **variables
    )
    assert (0, "") == (completed.returncode, completed.stderr)
    return completed.stdout


def tokens(server: Server, sign_in: dict[str, str]) -> dict[str, Any]:
    response = server.post("/api/v1/auth/token", sign_in)
    assert 200 == response.status_code, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_demo_is_not_served_without_the_demo_option(data_dir: Path, host: str) -> None:
    with run_server(data_dir, "--demo"):
        pass

    error = serve_error(data_dir, "--host", host)

    assert error.startswith("orderly: --demo: ")
    assert 1 == len(error.splitlines())
    assert all(account.email in error for account in ACCOUNTS)
    assert not any(account.password in error for account in ACCOUNTS)
    assert f"`orderly leave-demo --data-dir {data_dir}`" in error
    # It is still a demo.
    with run_server(data_dir, "--demo", "--reset") as server:
        assert 200 == server.post("/api/v1/auth/login", SIGN_INS[0]).status_code


def test_the_command_in_the_error_works_if_the_path_has_spaces(tmp_path: Path) -> None:
    data_dir = tmp_path / "my shop's data"
    with run_server(data_dir, "--demo"):
        pass
    program, *arguments = shlex.split(serve_error(data_dir).split("`")[1])

    assert "orderly" == program
    assert 0 == run_orderly(*arguments, directory=tmp_path).returncode
    with run_server(data_dir) as server:
        assert 401 == server.post("/api/v1/auth/login", SIGN_INS[0]).status_code


def test_leaving_the_demo_disables_its_accounts_and_ends_their_sessions(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        products = server.get("/api/v1/products").json()
        signed_in = [tokens(server, sign_in) for sign_in in SIGN_INS]

    output = leave_demo(data_dir)

    assert all(f"Disabled {account.email}" in output for account in ACCOUNTS)
    assert "orderly create-admin" in output
    assert "No active account has a password of the demo" in leave_demo(data_dir)
    with run_server(data_dir, "--host", "0.0.0.0") as server:
        assert products == server.get("/api/v1/products").json()
        for sign_in, pair in zip(SIGN_INS, signed_in, strict=True):
            assert 401 == server.post("/api/v1/auth/login", sign_in).status_code
            headers = {"Authorization": f"Bearer {pair['access_token']}"}
            assert 401 == httpx2.get(f"{server.url}/api/v1/users/me", headers=headers).status_code
            refresh = {"refresh_token": pair["refresh_token"]}
            assert 401 == server.post("/api/v1/auth/token", refresh).status_code


def test_a_shop_that_left_the_demo_is_never_reset_and_shows_no_password(data_dir: Path) -> None:
    with run_server(data_dir, "--demo"):
        pass
    leave_demo(data_dir)

    assert "was created or served without --demo" in serve_error(data_dir, "--demo", "--reset")
    with run_server(data_dir, "--demo") as server:
        assert not any(account.password in server.stdout for account in ACCOUNTS)


def test_a_demo_can_be_left_while_it_is_served(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        leave_demo(data_dir)

        assert 401 == server.post("/api/v1/auth/login", SIGN_INS[0]).status_code


def test_an_account_with_a_new_password_stays_enabled(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        response = httpx2.put(
            f"{server.url}/api/v1/auth/password",
            json={"current_password": SIGN_INS[0]["password"], "new_password": NEW_PASSWORD},
            headers={"Authorization": f"Bearer {tokens(server, SIGN_INS[0])['access_token']}"},
        )
        assert 200 == response.status_code, response.text
    error = serve_error(data_dir)
    assert (False, True, True) == tuple(account.email in error for account in ACCOUNTS)

    leave_demo(data_dir)

    with run_server(data_dir) as server:
        assert tokens(server, {**SIGN_INS[0], "password": NEW_PASSWORD})
        assert 401 == server.post("/api/v1/auth/login", SIGN_INS[1]).status_code


def test_demo_accounts_in_the_database_of_the_setting_are_refused_too(
    tmp_path: Path, shop: str
) -> None:
    demo.fill()

    error = serve_error(tmp_path / "data", ORDERLY_DATABASE_URL=shop)

    assert "`orderly leave-demo`" in error
    leave_demo(tmp_path / "data", ORDERLY_DATABASE_URL=shop)
    with run_server(tmp_path / "data", ORDERLY_DATABASE_URL=shop) as server:
        assert 401 == server.post("/api/v1/auth/login", SIGN_INS[0]).status_code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_cookies_without_secure_beyond_this_machine_cause_one_warning(
    data_dir: Path, workers: str
) -> None:
    def warnings(*arguments: str, **variables: str) -> list[dict[str, Any]]:
        with run_server(data_dir, "--workers", workers, *arguments, **variables) as server:
            assert 0 == server.stop()
        return [event for event in server.log if event["event"] == "cookies_not_secure"]

    found = warnings("--host", "0.0.0.0")

    assert ["warning"] == [event["level"] for event in found]
    assert "ORDERLY_COOKIE_SECURE=true" in found[0]["remedy"]
    assert [] == warnings("--host", "127.0.0.1")
    assert [] == warnings("--host", "0.0.0.0", ORDERLY_COOKIE_SECURE="true")
