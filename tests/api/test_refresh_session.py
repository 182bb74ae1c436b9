"""POST /auth/refresh."""

from __future__ import annotations

from tests.api.conftest import Client
from tests.api.problems import problem

REFRESH = "/api/v1/auth/refresh"


def test_refreshing_rotates_both_cookies(alice: Client) -> None:
    before = dict(alice.cookies)

    answer = alice.post(REFRESH)

    assert 200 == answer.status_code
    assert "alice@example.com" == answer.json()["user"]["email"]
    after = dict(alice.cookies)
    assert all(before[name] != after[name] for name in ("orderly_access", "orderly_refresh"))
    assert 200 == alice.get("/api/v1/users/me").status_code


def test_without_a_refresh_cookie_it_is_401(anyone: Client) -> None:
    problem(anyone.post(REFRESH), 401, "unauthenticated")


def test_a_token_that_was_never_issued_is_401(anyone: Client) -> None:
    anyone.cookies.set("orderly_refresh", "x" * 43)

    problem(anyone.post(REFRESH), 401, "session_expired")


def test_an_access_token_does_not_refresh(alice: Client, anyone: Client) -> None:
    anyone.cookies.set("orderly_access", alice.cookies["orderly_access"])

    problem(anyone.post(REFRESH), 401, "unauthenticated")


def test_a_second_tab_that_comes_late_is_told_and_stays_signed_in(
    alice: Client, anyone: Client
) -> None:
    spent = alice.cookies["orderly_refresh"]
    alice.post(REFRESH)
    anyone.cookies.set("orderly_refresh", spent)

    answer = anyone.post(REFRESH)

    problem(answer, 409, "refresh_raced")
    assert "set-cookie" not in answer.headers
    assert 200 == alice.post(REFRESH).status_code


def test_another_site_cannot_refresh(alice: Client) -> None:
    problem(
        alice.post(REFRESH, headers={"sec-fetch-site": "cross-site"}), 403, "cross_site_request"
    )
