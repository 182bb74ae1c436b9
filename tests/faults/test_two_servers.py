"""Two servers on one database: revocations, rate limits and keys apply to both."""

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
# This operation makes no query that would reveal that the session has ended.
SESSIONS = "/api/v1/auth/sessions"
LOGIN = "/api/v1/auth/login"
ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
CREDENTIALS = {"email": ADA["email"], "password": PASSWORD}
MAX_REVOCATION_SECONDS = 2.0


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
    (directory / "first").mkdir()
    (directory / "second").mkdir()
    with (
        run_server(directory / "first" / "data", **options) as first,
        run_server(directory / "second" / "data", **options) as second,
    ):
        yield first, second


def signed_in_client(server: Server) -> httpx2.Client:
    """Sign Ada in, after registering her if necessary; return the client."""
    client = httpx2.Client(base_url=server.url)
    client.post("/api/v1/auth/register", json=ADA)
    assert 200 == client.post(LOGIN, json=CREDENTIALS).status_code
    return client


def seconds_until_rejected(server: Server, cookies: dict[str, str]) -> float:
    """Send requests until the server rejects one; return how long it accepted them."""
    start = time.monotonic()
    with httpx2.Client(base_url=server.url, cookies=cookies) as client:
        while True:
            sent = time.monotonic()
            response = client.get(SESSIONS)
            if response.status_code != 200:
                assert_problem(response, 401, "invalid_token")
                return sent - start
            assert sent - start < 10 * MAX_REVOCATION_SECONDS
            time.sleep(0.02)


def log_out(client: httpx2.Client, _admin: httpx2.Client) -> None:
    assert 204 == client.post("/api/v1/auth/logout").status_code


def revoke(client: httpx2.Client, _admin: httpx2.Client) -> None:
    (session,) = client.get(SESSIONS).json()["items"]
    assert 204 == client.delete(f"{SESSIONS}/{session['id']}").status_code


def change_password_in_another_session(client: httpx2.Client, _admin: httpx2.Client) -> None:
    with httpx2.Client(base_url=client.base_url) as other:
        other.post(LOGIN, json=CREDENTIALS)
        change_password(other, _admin)


def change_password(client: httpx2.Client, _admin: httpx2.Client) -> None:
    body = {"current_password": PASSWORD, "new_password": "seven quiet herons at dusk"}
    assert 204 == client.put("/api/v1/auth/password", json=body).status_code


def disable(client: httpx2.Client, admin: httpx2.Client) -> None:
    user = f"/api/v1/users/{client.get(ME).json()['id']}"
    assert 200 == admin.patch(user, json={"active": False}).status_code


def promote(client: httpx2.Client, admin: httpx2.Client) -> None:
    user = f"/api/v1/users/{client.get(ME).json()['id']}"
    assert 200 == admin.patch(user, json={"role": "ADMIN"}).status_code


@pytest.mark.parametrize(
    "end",
    [log_out, revoke, change_password, change_password_in_another_session, disable, promote],
)
def test_a_session_that_ends_on_one_server_is_rejected_by_the_other_within_two_seconds(
    shop: str,
    servers: tuple[Server, Server],
    end: Callable[[httpx2.Client, httpx2.Client], None],
) -> None:
    first, second = servers
    email, password = ADMIN
    users.create_admin(email=email, name="Ada Admin", password=password)
    with closing(signed_in_client(first)) as client, httpx2.Client(base_url=first.url) as admin:
        admin.post(LOGIN, json={"email": email, "password": password})
        cookies = dict(client.cookies)
        assert 200 == httpx2.get(second.url + ME, cookies=cookies).status_code

        end(client, admin)

        assert seconds_until_rejected(second, cookies) < MAX_REVOCATION_SECONDS
        assert_problem(httpx2.get(first.url + SESSIONS, cookies=cookies), 401, "invalid_token")


def try_to_sign_in(server: Server, password: str, address: str, email: str = ADA["email"]) -> Any:
    return httpx2.post(
        server.url + LOGIN,
        json={"email": email, "password": password},
        headers={"X-Forwarded-For": address},
    )


def test_both_servers_count_sign_in_attempts_together(
    shop: str, servers: tuple[Server, Server]
) -> None:
    signed_in_client(servers[0]).close()

    with ThreadPoolExecutor(2) as threads:  # a server handles two such attempts at the same time
        responses = list(
            threads.map(
                lambda number: try_to_sign_in(
                    servers[number % 2], "not the password", "203.0.113.7"
                ),
                range(20),
            )
        )

    assert {401: 5, 429: 15} == Counter(response.status_code for response in responses)
    throttled = next(response for response in responses if response.status_code == 429)
    problem = assert_problem(throttled, 429, "too_many_attempts")
    assert ("sign_in", 5, 600) == (problem["policy"], problem["quota"], problem["window_seconds"])
    retry_after = int(throttled.headers["retry-after"])
    assert 1 <= retry_after <= 120
    assert '"sign_in";q=5;w=600' == throttled.headers["ratelimit-policy"]
    assert f'"sign_in";r=0;t={retry_after}' == throttled.headers["ratelimit"]
    # The correct password from that address is rejected too.
    assert 429 == try_to_sign_in(servers[1], PASSWORD, "203.0.113.7").status_code
    assert 200 == try_to_sign_in(servers[1], PASSWORD, "198.51.100.1").status_code


def test_all_addresses_of_an_ipv6_network_share_one_rate_limit(
    shop: str, servers: tuple[Server, Server]
) -> None:
    responses = [
        try_to_sign_in(servers[number % 2], "not the password", f"2001:db8:1:2::{number:x}")
        for number in range(8)
    ]

    assert {401: 5, 429: 3} == Counter(response.status_code for response in responses)
    assert 401 == try_to_sign_in(servers[0], "not the password", "2001:db8:1:3::1").status_code


def test_attacks_from_many_networks_do_not_lock_a_user_out_of_a_known_network(
    shop: str, servers: tuple[Server, Server]
) -> None:
    signed_in_client(servers[0]).close()
    assert 200 == try_to_sign_in(servers[0], PASSWORD, "198.51.100.1").status_code

    start = time.monotonic()
    responses = [
        try_to_sign_in(servers[number % 2], "not the password", f"203.0.113.{number // 4}")
        for number in range(55)
    ]
    refilled = int((time.monotonic() - start) / (600 / 50))  # attempts that became available again

    counts = Counter(response.status_code for response in responses)
    assert {401, 429} == counts.keys()
    assert 50 <= counts[401] <= 50 + refilled
    refused = [response for response in responses if response.status_code == 429]
    assert {"sign_in_account"} == {response.json()["policy"] for response in refused}
    assert 200 == try_to_sign_in(servers[1], PASSWORD, "198.51.100.1").status_code
    # An attempt may have become available again: use it up.
    while try_to_sign_in(servers[1], "not the password", "198.51.100.3").status_code != 429:
        pass
    assert 429 == try_to_sign_in(servers[1], PASSWORD, "198.51.100.2").status_code


def test_an_unknown_email_has_the_same_rate_limit_as_a_known_email(
    shop: str, servers: tuple[Server, Server]
) -> None:
    signed_in_client(servers[0]).close()

    def outcomes(email: str, address: str) -> list[int]:
        return [try_to_sign_in(servers[0], "wrong", address, email).status_code for _ in range(7)]

    assert outcomes(ADA["email"], "203.0.113.1") == outcomes("eve@example.com", "203.0.113.2")


def test_successful_sign_ins_are_not_counted(shop: str, servers: tuple[Server, Server]) -> None:
    signed_in_client(servers[0]).close()

    responses = [
        try_to_sign_in(servers[0], PASSWORD, "198.51.100.1").status_code for _ in range(12)
    ]

    assert [200] * 12 == responses


def test_registration_refresh_and_password_change_have_rate_limits(
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
            # A rate limit does not end the session.
            assert 200 == client.get(ME).status_code

    assert [201] * 3 + [429] * 2 == [response.status_code for response in register]
    assert [200] * 3 + [429] * 2 == [response.status_code for response in refresh]
    assert "set-cookie" not in refresh[-1].headers
    assert [409] * 3 + [429] * 2 == [response.status_code for response in change]
    for responses in (register, refresh, change):
        assert_problem(responses[-1], 429, "too_many_attempts")


def test_a_key_rotation_reaches_running_workers_and_keeps_all_sessions(
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
        client = signed_in_client(server)
        old_key_id = key_id(client.cookies["orderly_access"])
        cookies = dict(client.cookies)

        rotated = run_orderly(
            "rotate-signing-key", "--data-dir", str(tmp_path / "data"), directory=tmp_path
        )
        assert 0 == rotated.returncode, rotated.stderr

        key_ids = set()

        def uses_new_key() -> bool:
            # Both the first and the current access token must work, in each worker.
            for _ in range(4):
                assert 200 == httpx2.get(server.url + ME, cookies=cookies).status_code
            client.post("/api/v1/auth/refresh").raise_for_status()
            for _ in range(4):
                current = dict(client.cookies)
                assert 200 == httpx2.get(server.url + ME, cookies=current).status_code
            key_ids.add(key_id(client.cookies["orderly_access"]))
            time.sleep(0.2)
            return key_id(client.cookies["orderly_access"]) != old_key_id

        wait_until(uses_new_key)
        client.close()

    assert 2 == len(key_ids)


def test_tokens_of_a_revoked_key_are_rejected_within_five_seconds(
    shop: str, database_url: str, tmp_path: Path
) -> None:
    with run_server(
        tmp_path / "data", ORDERLY_DATABASE_URL=database_url, ORDERLY_COOKIE_SECURE="false"
    ) as server:
        client = signed_in_client(server)
        cookies = dict(client.cookies)
        assert 200 == client.get(ME).status_code

        run_orderly(
            "rotate-signing-key",
            "--at-once",
            "--data-dir",
            str(tmp_path / "data"),
            directory=tmp_path,
        )

        assert seconds_until_rejected(server, cookies) < 5
        # Only access tokens become invalid; the session continues.
        assert 200 == client.post("/api/v1/auth/refresh").status_code
        assert 200 == client.get(ME).status_code
        client.close()


def key_id(token: str) -> str:
    id_: str = jwt.get_unverified_header(token)["kid"]
    return id_


def test_a_server_that_cannot_load_revocations_rejects_all_sessions(
    shop: str, new_database: Callable[[str | None], str], migrated_template: str, tmp_path: Path
) -> None:
    url = new_database(migrated_template)
    with run_server(
        tmp_path / "data", ORDERLY_DATABASE_URL=url, ORDERLY_COOKIE_SECURE="false"
    ) as server:
        client = signed_in_client(server)
        assert 200 == client.get(ME).status_code
        name = url.rpartition("/")[2].partition("?")[0]

        with closing(psycopg2.connect(shop)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            time.sleep(MAX_REVOCATION_SECONDS + 0.1)
            # Normally this operation rejects a customer without a database query.
            assert_problem(client.get("/api/v1/users"), 503, "service_unavailable")
            assert "1" == client.get("/api/v1/users").headers["retry-after"]

            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        wait_until(lambda: client.get(ME).status_code == 200)
        client.close()
