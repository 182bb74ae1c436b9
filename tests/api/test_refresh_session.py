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

    answer = alice.post(REFRESH)

    assert 200 == answer.status_code
    assert "alice@example.com" == answer.json()["user"]["email"]
    after = dict(alice.cookies)
    assert all(before[name] != after[name] for name in ("orderly_access", "orderly_refresh"))
    assert 200 == alice.get("/api/v1/users/me").status_code


def test_without_a_refresh_cookie_it_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.post(REFRESH), 401, "unauthenticated")


def test_a_token_that_was_never_issued_is_401(anonymous: Client) -> None:
    anonymous.cookies.set("orderly_refresh", "x" * 43)

    assert_problem(anonymous.post(REFRESH), 401, "session_expired")


def test_an_access_token_does_not_refresh(alice: Client, anonymous: Client) -> None:
    anonymous.cookies.set("orderly_access", alice.cookies["orderly_access"])

    assert_problem(anonymous.post(REFRESH), 401, "unauthenticated")


def test_a_bearer_token_is_no_refresh_token(alice: Client, anonymous: Client) -> None:
    headers = {"Authorization": f"Bearer {alice.cookies['orderly_refresh']}"}

    assert_problem(anonymous.post(REFRESH, headers=headers), 401, "unauthenticated")
    assert 200 == alice.post(REFRESH).status_code


def test_a_second_tab_that_comes_late_is_told_and_stays_signed_in(
    alice: Client, anonymous: Client
) -> None:
    spent = alice.cookies["orderly_refresh"]
    alice.post(REFRESH)
    anonymous.cookies.set("orderly_refresh", spent)

    answer = anonymous.post(REFRESH)

    assert_problem(answer, 409, "refresh_raced")
    assert "set-cookie" not in answer.headers
    assert 200 == alice.post(REFRESH).status_code


def test_two_tabs_race_a_hundred_times_and_nobody_is_signed_out(
    alice: Client, base_url: str
) -> None:
    """Each round, both tabs show the token that the browser has; it keeps what the winner got."""
    jar = dict(alice.cookies)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(100):
            tab = partial(as_browser, base_url, jar, "POST", REFRESH)
            answers = [one.result() for one in [threads.submit(tab), threads.submit(tab)]]

            winner, loser = sorted(answers, key=lambda answer: answer.status_code)
            assert 200 == winner.status_code
            assert_problem(loser, 409, "refresh_raced")
            assert "set-cookie" not in loser.headers
            jar = dict(winner.cookies)

    assert 200 == as_browser(base_url, jar, "GET", "/api/v1/users/me").status_code
    assert 200 == as_browser(base_url, jar, "POST", REFRESH).status_code


def as_browser(base_url: str, jar: dict[str, str], method: str, path: str) -> httpx2.Response:
    """Answer a request with these cookies, on a connection of its own."""
    with httpx2.Client(base_url=base_url, cookies=jar) as tab:
        return tab.request(method, path)


def test_a_spent_token_in_other_hands_ends_the_session_for_both(
    alice: Client, anonymous: Client
) -> None:
    spent = alice.cookies["orderly_refresh"]
    alice.post(REFRESH)
    anonymous.cookies.set("orderly_refresh", spent)

    stolen = anonymous.post(REFRESH, headers={"User-Agent": "a thief"})

    assert_problem(stolen, 401, "session_expired")
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
        ({}, 200),
    ],
)
def test_a_page_of_another_site_cannot_refresh(
    alice: Client, headers: dict[str, str], status: int
) -> None:
    assert status == alice.post(REFRESH, headers=headers).status_code


def test_another_site_cannot_refresh(alice: Client) -> None:
    assert_problem(
        alice.post(REFRESH, headers={"sec-fetch-site": "cross-site"}), 403, "cross_site_request"
    )
