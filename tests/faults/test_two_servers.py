"""Two server processes on one database: what one is told, the other heeds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import jwt
import psycopg2
import pytest

from services import users
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.problems import assert_problem
from tests.support.processes import Server, run_orderly, run_server, wait_until
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

ME = "/api/v1/users/me"
# Asks the database nothing that would tell that the session has ended.
SESSIONS = "/api/v1/auth/sessions"
LOGIN = "/api/v1/auth/login"
ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
CREDENTIALS = {"email": ADA["email"], "password": PASSWORD}
PROMISED_SECONDS = 2.0


@pytest.fixture(scope="module")
def servers(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    directory = tmp_path_factory.mktemp("two")
    options = {
        "ORDERLY_DATABASE_URL": database_url,
        "ORDERLY_SIGNING_KEY": SIGNING_KEY,
        "ORDERLY_COOKIE_SECURE": "false",
        "ORDERLY_VALIDATE_RESPONSES": "true",
        **NO_RATE_LIMIT_VARIABLES,
        "ORDERLY_SIGN_IN_LIMIT": "5",
        "ORDERLY_TRUSTED_PROXIES": "127.0.0.1",
    }
    (directory / "one").mkdir()
    (directory / "other").mkdir()
    with (
        run_server(directory / "one" / "data", **options) as one,
        run_server(directory / "other" / "data", **options) as other,
    ):
        yield one, other


def signed_in(server: Server) -> httpx2.Client:
    """Return a client with a session of Ada's, who registers if she has not."""
    client = httpx2.Client(base_url=server.url)
    client.post("/api/v1/auth/register", json=ADA)
    assert 200 == client.post(LOGIN, json=CREDENTIALS).status_code
    return client


def seconds_until_refused(server: Server, jar: dict[str, str]) -> float:
    """Ask a server again and again until it refuses; return how long it did not."""
    began = time.monotonic()
    with httpx2.Client(base_url=server.url, cookies=jar) as client:
        while True:
            asked = time.monotonic()
            answer = client.get(SESSIONS)
            if answer.status_code != 200:
                assert_problem(answer, 401, "invalid_token")
                return asked - began
            assert asked - began < 10 * PROMISED_SECONDS
            time.sleep(0.02)


def log_out(client: httpx2.Client, _admin: httpx2.Client) -> None:
    assert 204 == client.post("/api/v1/auth/logout").status_code


def revoke(client: httpx2.Client, _admin: httpx2.Client) -> None:
    (one,) = client.get(SESSIONS).json()["items"]
    assert 204 == client.delete(f"{SESSIONS}/{one['id']}").status_code


def change_password_elsewhere(client: httpx2.Client, _admin: httpx2.Client) -> None:
    with httpx2.Client(base_url=client.base_url) as elsewhere:
        elsewhere.post(LOGIN, json=CREDENTIALS)
        body = {"current_password": PASSWORD, "new_password": "seven quiet herons at dusk"}
        assert 204 == elsewhere.put("/api/v1/auth/password", json=body).status_code


def disable(client: httpx2.Client, admin: httpx2.Client) -> None:
    user = f"/api/v1/users/{client.get(ME).json()['id']}"
    assert 200 == admin.patch(user, json={"active": False}).status_code


def promote(client: httpx2.Client, admin: httpx2.Client) -> None:
    user = f"/api/v1/users/{client.get(ME).json()['id']}"
    assert 200 == admin.patch(user, json={"role": "ADMIN"}).status_code


@pytest.mark.parametrize("end", [log_out, revoke, change_password_elsewhere, disable, promote])
def test_a_session_that_ends_on_one_is_refused_by_the_other_within_two_seconds(
    shop: str,
    servers: tuple[Server, Server],
    end: Callable[[httpx2.Client, httpx2.Client], None],
) -> None:
    one, other = servers
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    with closing(signed_in(one)) as client, httpx2.Client(base_url=one.url) as admin:
        admin.post(LOGIN, json={"email": email, "password": password})
        jar = dict(client.cookies)
        assert 200 == httpx2.get(other.url + ME, cookies=jar).status_code

        end(client, admin)

        assert seconds_until_refused(other, jar) < PROMISED_SECONDS
        assert_problem(httpx2.get(one.url + SESSIONS, cookies=jar), 401, "invalid_token")


def attempt(server: Server, password: str, address: str, email: str = ADA["email"]) -> Any:
    return httpx2.post(
        server.url + LOGIN,
        json={"email": email, "password": password},
        headers={"X-Forwarded-For": address},
    )


def test_attempts_are_counted_for_both_together(shop: str, servers: tuple[Server, Server]) -> None:
    signed_in(servers[0]).close()

    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda number: attempt(servers[number % 2], "not the password", "203.0.113.7"),
                range(20),
            )
        )

    assert {401: 5, 429: 15} == Counter(answer.status_code for answer in answers)
    refused = next(answer for answer in answers if answer.status_code == 429)
    facts = assert_problem(refused, 429, "too_many_attempts")
    assert ("sign_in", 5, 600) == (facts["policy"], facts["quota"], facts["window_seconds"])
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 120
    assert '"sign_in";q=5;w=600' == refused.headers["ratelimit-policy"]
    assert f'"sign_in";r=0;t={wait}' == refused.headers["ratelimit"]
    # The right password is not looked at either, from there.
    assert 429 == attempt(servers[1], PASSWORD, "203.0.113.7").status_code
    assert 200 == attempt(servers[1], PASSWORD, "198.51.100.1").status_code


def test_an_ipv6_network_is_one_whatever_address_it_takes(
    shop: str, servers: tuple[Server, Server]
) -> None:
    answers = [
        attempt(servers[number % 2], "not the password", f"2001:db8:1:2::{number:x}")
        for number in range(8)
    ]

    assert {401: 5, 429: 3} == Counter(answer.status_code for answer in answers)
    assert 401 == attempt(servers[0], "not the password", "2001:db8:1:3::1").status_code


def test_no_crowd_of_strangers_locks_somebody_out_of_where_they_have_been(
    shop: str, servers: tuple[Server, Server]
) -> None:
    signed_in(servers[0]).close()
    assert 200 == attempt(servers[0], PASSWORD, "198.51.100.1").status_code

    began = time.monotonic()
    answers = [
        attempt(servers[number % 2], "not the password", f"203.0.113.{number // 4}")
        for number in range(60)
    ]
    came_back = int((time.monotonic() - began) / (600 / 50))  # on a slow machine

    counts = Counter(answer.status_code for answer in answers)
    assert {401, 429} == counts.keys()
    assert 50 <= counts[401] <= 50 + came_back
    assert "sign_in_account" == answers[-1].json()["policy"]
    assert 200 == attempt(servers[1], PASSWORD, "198.51.100.1").status_code
    assert 429 == attempt(servers[1], PASSWORD, "198.51.100.2").status_code


def test_an_unknown_email_is_throttled_like_a_known_one(
    shop: str, servers: tuple[Server, Server]
) -> None:
    signed_in(servers[0]).close()

    def outcomes(email: str, address: str) -> list[int]:
        return [attempt(servers[0], "wrong", address, email).status_code for _ in range(7)]

    assert outcomes(ADA["email"], "203.0.113.1") == outcomes("eve@example.com", "203.0.113.2")


def test_sign_ins_that_succeed_do_not_count(shop: str, servers: tuple[Server, Server]) -> None:
    signed_in(servers[0]).close()

    answers = [attempt(servers[0], PASSWORD, "198.51.100.1").status_code for _ in range(12)]

    assert [200] * 12 == answers


def test_registration_refresh_and_password_change_are_throttled_too(
    shop: str, database_url: str, tmp_path: Path
) -> None:
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_REGISTRATION_LIMIT="3",
        ORDERLY_REFRESH_LIMIT="3",
        ORDERLY_PASSWORD_CHANGE_LIMIT="3",
    ) as server:
        register = [
            server.post("/api/v1/auth/register", ADA | {"email": f"ada{number}@example.com"})
            for number in range(5)
        ]
        with httpx2.Client(base_url=server.url) as client:
            client.post(LOGIN, json=CREDENTIALS | {"email": "ada0@example.com"})
            refresh = [client.post("/api/v1/auth/refresh") for _ in range(5)]
            body = {"current_password": "wrong", "new_password": "seven quiet herons at dusk"}
            change = [client.put("/api/v1/auth/password", json=body) for _ in range(5)]
            # Throttled, not signed out
            assert 200 == client.get(ME).status_code

    assert [201] * 3 + [429] * 2 == [answer.status_code for answer in register]
    assert [200] * 3 + [429] * 2 == [answer.status_code for answer in refresh]
    assert "set-cookie" not in refresh[-1].headers
    assert [409] * 3 + [429] * 2 == [answer.status_code for answer in change]
    for answers in (register, refresh, change):
        assert_problem(answers[-1], 429, "too_many_attempts")


def test_keys_are_rotated_under_running_workers_and_nobody_is_signed_out(
    shop: str, database_url: str, tmp_path: Path
) -> None:
    with run_server(
        tmp_path / "data",
        "--workers",
        "2",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_COOKIE_SECURE="false",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        client = signed_in(server)
        before = key_of(client.cookies["orderly_access"])
        jar = dict(client.cookies)

        rotated = run_orderly(
            "rotate-signing-key", "--data-dir", str(tmp_path / "data"), directory=tmp_path
        )
        assert 0 == rotated.returncode, rotated.stderr

        keys = set()

        def follows() -> bool:
            # The old token all the while, and new ones as they come, each at either worker.
            for _ in range(4):
                assert 200 == httpx2.get(server.url + ME, cookies=jar).status_code
            client.post("/api/v1/auth/refresh").raise_for_status()
            for _ in range(4):
                current = dict(client.cookies)
                assert 200 == httpx2.get(server.url + ME, cookies=current).status_code
            keys.add(key_of(client.cookies["orderly_access"]))
            time.sleep(0.2)
            return key_of(client.cookies["orderly_access"]) != before

        wait_until(follows)
        client.close()

    assert 2 == len(keys)


def test_a_stolen_key_is_refused_within_seconds(
    shop: str, database_url: str, tmp_path: Path
) -> None:
    with run_server(
        tmp_path / "data", ORDERLY_DATABASE_URL=database_url, ORDERLY_COOKIE_SECURE="false"
    ) as server:
        client = signed_in(server)
        jar = dict(client.cookies)
        assert 200 == client.get(ME).status_code

        run_orderly(
            "rotate-signing-key",
            "--at-once",
            "--data-dir",
            str(tmp_path / "data"),
            directory=tmp_path,
        )

        assert seconds_until_refused(server, jar) < 5
        # Only the access token is worth nothing: the session goes on.
        assert 200 == client.post("/api/v1/auth/refresh").status_code
        assert 200 == client.get(ME).status_code
        client.close()


def key_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def test_a_server_that_cannot_know_who_was_signed_out_lets_nobody_in(
    shop: str, new_database: Callable[[str | None], str], migrated_template: str, tmp_path: Path
) -> None:
    url = new_database(migrated_template)
    with run_server(
        tmp_path / "data", ORDERLY_DATABASE_URL=url, ORDERLY_COOKIE_SECURE="false"
    ) as server:
        client = signed_in(server)
        assert 200 == client.get(ME).status_code
        name = url.rpartition("/")[2].partition("?")[0]

        with closing(psycopg2.connect(shop)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            time.sleep(PROMISED_SECONDS + 0.1)
            # An operation that needs no database for those who may not ask
            assert_problem(client.get("/api/v1/users"), 503, "service_unavailable")
            assert "1" == client.get("/api/v1/users").headers["retry-after"]

            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        wait_until(lambda: client.get(ME).status_code == 200)
        client.close()
