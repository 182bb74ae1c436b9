"""`orderly serve --demo --reset`: the sandbox starts anew, and nothing else ever does."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.demo import ACCOUNTS
from tests.support.processes import Server, run_orderly, run_server

ADA = {"email": "ada@example.com", "name": "Ada", "password": "brew-42-slow-mornings"}
ADMIN = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def refused(data_dir: Path, *arguments: str) -> str:
    """Return why a reset does not take place."""
    done = run_orderly(
        *("serve", "--reset", "--data-dir", str(data_dir), "--port", "0", *arguments),
        directory=data_dir.parent,
    )
    assert 2 == done.returncode, done.stdout
    return done.stderr


def tokens(server: Server) -> dict[str, Any]:
    answer = server.post("/api/v1/auth/token", ADMIN)
    assert 200 == answer.status_code, answer.text
    body: dict[str, Any] = answer.json()
    return body


def is_known(server: Server, access_token: str) -> bool:
    headers = {"Authorization": f"Bearer {access_token}"}
    return httpx2.get(f"{server.url}/api/v1/users/me", headers=headers).is_success


def test_the_sandbox_keeps_what_happens_until_it_is_reset(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        before = server.get("/api/v1/products").json()
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code
        token = tokens(server)["access_token"]
    with run_server(data_dir, "--demo") as server:
        assert before == server.get("/api/v1/products").json()
        assert 409 == server.post("/api/v1/auth/register", ADA).status_code
        assert is_known(server, token)

    for _ in range(2):
        with run_server(data_dir, "--demo", "--reset") as server:
            after = server.get("/api/v1/products").json()
            assert 201 == server.post("/api/v1/auth/register", ADA).status_code
            assert not is_known(server, token)
            assert is_known(server, tokens(server)["access_token"])

        assert [one["sku"] for one in before["items"]] == [one["sku"] for one in after["items"]]
        assert before["items"][0]["id"] != after["items"][0]["id"]
        before = after
    assert 0 == run_orderly("audit", f"--data-dir={data_dir}", directory=data_dir.parent).returncode


def test_the_first_start_may_ask_for_a_reset(data_dir: Path) -> None:
    with run_server(data_dir, "--demo", "--reset") as server:
        assert server.get("/api/v1/products").json()["items"]


@pytest.mark.parametrize("seconds", [0.7, 1.1, 1.6])
def test_a_kill_in_the_middle_is_made_good_by_the_next_start(
    data_dir: Path, seconds: float
) -> None:
    with run_server(data_dir, "--demo") as server:
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code
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
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code


def test_a_shop_in_earnest_is_never_reset(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code

    assert "was not made by --demo" in refused(data_dir, "--demo")
    with run_server(data_dir, "--demo") as server:
        assert 409 == server.post("/api/v1/auth/register", ADA).status_code
    assert "was not made by --demo" in refused(data_dir, "--demo")


def test_a_demo_that_was_taken_into_earnest_is_not_reset_either(data_dir: Path) -> None:
    with run_server(data_dir, "--demo"):
        pass
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code

    assert "was served without it" in refused(data_dir, "--demo")
    with run_server(data_dir) as server:
        assert 409 == server.post("/api/v1/auth/register", ADA).status_code


def test_no_reset_of_what_is_not_embedded_and_none_without_the_demo(
    tmp_path: Path, database_url: str
) -> None:
    assert "--reset: is for --demo alone" in refused(tmp_path / "data")
    done = run_orderly(
        *("serve", "--demo", "--reset", "--port", "0"),
        directory=tmp_path,
        ORDERLY_DATABASE_URL=database_url,
    )
    assert 2 == done.returncode
    assert "--demo is for the embedded database alone" in done.stderr


def test_no_reset_while_the_shop_is_open(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        done = run_orderly(
            *("serve", "--demo", "--reset", "--data-dir", str(data_dir), "--port", "0"),
            directory=data_dir.parent,
        )
        assert 1 == done.returncode
        assert f"process {server.process.pid}" in done.stderr
        assert server.get("/api/v1/products").json()["items"]
