"""POST /auth/refresh."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
import pytest
from httpx2 import Client

from tests.support.problems import assert_problem

REFRESH = "/api/v1/auth/refresh"


def test_refreshing_rotates_both_cookies(alice: Client) -> None:
    before = dict(alice.cookies)

    response = alice.post(REFRESH)

    assert 200 == response.status_code
    assert "alice@example.com" == response.json()["user"]["email"]
    after = dict(alice.cookies)
    assert all(before[name] != after[name] for name in ("orderly_access", "orderly_refresh"))
    assert 200 == alice.get("/api/v1/users/me").status_code


def test_a_request_without_a_refresh_cookie_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.post(REFRESH), 401, "unauthenticated")


def test_a_token_that_was_never_issued_is_401(anonymous: Client) -> None:
    anonymous.cookies.set("orderly_refresh", "x" * 43)

    assert_problem(anonymous.post(REFRESH), 401, "session_expired")


def test_an_access_token_is_not_accepted_as_a_refresh_token(
    alice: Client, anonymous: Client
) -> None:
    anonymous.cookies.set("orderly_access", alice.cookies["orderly_access"])

    assert_problem(anonymous.post(REFRESH), 401, "unauthenticated")


def test_a_refresh_token_in_the_authorization_header_is_not_accepted(
    alice: Client, anonymous: Client
) -> None:
    headers = {"Authorization": f"Bearer {alice.cookies['orderly_refresh']}"}

    assert_problem(anonymous.post(REFRESH, headers=headers), 401, "unauthenticated")
    assert 200 == alice.post(REFRESH).status_code


def test_a_second_tab_that_refreshes_late_gets_409_and_stays_signed_in(
    alice: Client, anonymous: Client
) -> None:
    used = alice.cookies["orderly_refresh"]
    alice.post(REFRESH)
    anonymous.cookies.set("orderly_refresh", used)

    response = anonymous.post(REFRESH)

    assert_problem(response, 409, "refresh_raced")
    assert "set-cookie" not in response.headers
    assert 200 == alice.post(REFRESH).status_code


def test_two_tabs_that_refresh_concurrently_stay_signed_in_in_each_of_100_rounds(
    alice: Client, base_url: str
) -> None:
    """In each round both tabs send the same cookies; the browser then has those of the winner."""
    cookies = dict(alice.cookies)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(100):
            tab = partial(send_with_cookies, base_url, cookies, "POST", REFRESH)
            responses = [future.result() for future in [threads.submit(tab), threads.submit(tab)]]

            winner, loser = sorted(responses, key=lambda response: response.status_code)
            assert 200 == winner.status_code
            assert_problem(loser, 409, "refresh_raced")
            assert "set-cookie" not in loser.headers
            cookies = dict(winner.cookies)

    assert 200 == send_with_cookies(base_url, cookies, "GET", "/api/v1/users/me").status_code
    assert 200 == send_with_cookies(base_url, cookies, "POST", REFRESH).status_code


def send_with_cookies(
    base_url: str, cookies: dict[str, str], method: str, path: str
) -> httpx2.Response:
    """Send a request with these cookies on a new connection; return the response."""
    with httpx2.Client(base_url=base_url, cookies=cookies) as client:
        return client.request(method, path)


def test_a_used_refresh_token_from_another_client_ends_the_session(
    alice: Client, anonymous: Client
) -> None:
    used = alice.cookies["orderly_refresh"]
    alice.post(REFRESH)
    anonymous.cookies.set("orderly_refresh", used)

    replayed = anonymous.post(REFRESH, headers={"User-Agent": "a thief"})

    assert_problem(replayed, 401, "session_expired")
    assert_problem(alice.post(REFRESH), 401, "session_expired")
    assert_problem(alice.get("/api/v1/users/me"), 401, "invalid_token")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://[::1"}, 403),
        ({}, 200),
    ],
)
def test_only_requests_from_the_same_site_can_refresh(
    alice: Client, headers: dict[str, str], status: int
) -> None:
    assert status == alice.post(REFRESH, headers=headers).status_code


def test_a_request_from_another_site_is_a_403_with_its_own_code(alice: Client) -> None:
    assert_problem(
        alice.post(REFRESH, headers={"sec-fetch-site": "cross-site"}), 403, "cross_site_request"
    )
