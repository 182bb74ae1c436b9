"""POST /auth/logout."""

from __future__ import annotations

from httpx2 import Client

from tests.support.problems import assert_problem


def test_signing_out_clears_the_cookies_and_ends_the_session(
    alice: Client, anonymous: Client
) -> None:
    refresh_token = alice.cookies["orderly_refresh"]

    response = alice.post("/api/v1/auth/logout")

    assert (204, b"") == (response.status_code, response.content)
    assert 2 == len(response.headers.get_list("set-cookie"))
    assert {} == dict(alice.cookies)
    anonymous.cookies.set("orderly_refresh", refresh_token)
    assert_problem(anonymous.post("/api/v1/auth/refresh"), 401, "session_expired")


def test_signing_out_a_second_time_is_401(alice: Client) -> None:
    alice.post("/api/v1/auth/logout")

    assert_problem(alice.post("/api/v1/auth/logout"), 401, "unauthenticated")
