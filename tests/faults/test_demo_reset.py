"""`orderly serve --demo --reset` recreates the demo's data, and never any other data."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.demo import ACCOUNTS
from tests.support.contract_requests import EXAMPLES
from tests.support.processes import Server, run_orderly, run_server

MARY = EXAMPLES["another_registration"]
ADMIN = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def reset_error(data_dir: Path, *arguments: str) -> str:
    """Try a reset that must be rejected; return the error."""
    completed = run_orderly(
        *("serve", "--reset", "--data-dir", str(data_dir), "--port", "0", *arguments),
        directory=data_dir.parent,
    )
    assert 2 == completed.returncode, completed.stdout
    return completed.stderr


def tokens(server: Server) -> dict[str, Any]:
    response = server.post("/api/v1/auth/token", ADMIN)
    assert 200 == response.status_code, response.text
    body: dict[str, Any] = response.json()
    return body


def is_known(server: Server, access_token: str) -> bool:
    headers = {"Authorization": f"Bearer {access_token}"}
    return httpx2.get(f"{server.url}/api/v1/users/me", headers=headers).is_success


def test_the_demo_keeps_its_data_until_it_is_reset(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        before = server.get("/api/v1/products").json()
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code
        token = tokens(server)["access_token"]
    with run_server(data_dir, "--demo") as server:
        assert before == server.get("/api/v1/products").json()
        assert 409 == server.post("/api/v1/auth/register", MARY).status_code
        assert is_known(server, token)

    for _ in range(2):
        with run_server(data_dir, "--demo", "--reset") as server:
            after = server.get("/api/v1/products").json()
            assert 201 == server.post("/api/v1/auth/register", MARY).status_code
            assert not is_known(server, token)
            assert is_known(server, tokens(server)["access_token"])

        assert [product["sku"] for product in before["items"]] == [
            product["sku"] for product in after["items"]
        ]
        assert before["items"][0]["id"] != after["items"][0]["id"]
        before = after
    assert 0 == run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent).returncode


def test_the_first_start_can_have_the_reset_option(data_dir: Path) -> None:
    with run_server(data_dir, "--demo", "--reset") as server:
        assert server.get("/api/v1/products").json()["items"]


@pytest.mark.parametrize("seconds", [0.7, 1.1, 1.6])
def test_the_next_start_completes_a_reset_that_was_killed(data_dir: Path, seconds: float) -> None:
    with run_server(data_dir, "--demo") as server:
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code
        products = len(server.get("/api/v1/products?limit=100").json()["items"])
    killed = Server.start(data_dir, "--demo", "--reset")
    time.sleep(seconds)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    with run_server(data_dir, "--demo") as server:
        assert products == len(server.get("/api/v1/products?limit=100").json()["items"])
        assert is_known(server, tokens(server)["access_token"])
    with run_server(data_dir, "--demo", "--reset") as server:
        assert products == len(server.get("/api/v1/products?limit=100").json()["items"])
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code


def test_a_shop_that_was_not_created_as_a_demo_is_never_reset(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code

    assert "was created or served without --demo" in reset_error(data_dir, "--demo")
    with run_server(data_dir, "--demo") as server:
        assert 409 == server.post("/api/v1/auth/register", MARY).status_code
    assert "was created or served without --demo" in reset_error(data_dir, "--demo")


def test_a_demo_that_was_once_served_without_the_demo_option_is_never_reset(data_dir: Path) -> None:
    with run_server(data_dir, "--demo"):
        pass
    leave = run_orderly("leave-demo", f"--data-dir={data_dir}", directory=data_dir.parent)
    assert 0 == leave.returncode, leave.stderr
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code

    assert "was created or served without --demo" in reset_error(data_dir, "--demo")
    with run_server(data_dir) as server:
        assert 409 == server.post("/api/v1/auth/register", MARY).status_code


def test_a_reset_needs_the_demo_option_and_the_embedded_database(
    tmp_path: Path, database_url: str
) -> None:
    assert "--reset: Only works together with --demo." in reset_error(tmp_path / "data")
    completed = run_orderly(
        *("serve", "--demo", "--reset", "--port", "0"),
        directory=tmp_path,
        ORDERLY_DATABASE_URL=database_url,
    )
    assert 2 == completed.returncode
    assert "--demo only works with the embedded database." in completed.stderr


def test_a_reset_while_the_server_runs_is_rejected(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        completed = run_orderly(
            *("serve", "--demo", "--reset", "--data-dir", str(data_dir), "--port", "0"),
            directory=data_dir.parent,
        )
        assert 1 == completed.returncode
        assert f"process {server.process.pid}" in completed.stderr
        assert server.get("/api/v1/products").json()["items"]
