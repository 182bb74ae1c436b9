"""POST /auth/logout."""

from __future__ import annotations

from tests.api.conftest import Client
from tests.api.problems import problem


def test_signing_out_clears_the_cookies_and_ends_the_session(alice: Client, anyone: Client) -> None:
    refresh_token = alice.cookies["orderly_refresh"]

    answer = alice.post("/api/v1/auth/logout")

    assert (204, b"") == (answer.status_code, answer.content)
    assert 2 == len(answer.headers.get_list("set-cookie"))
    assert {} == dict(alice.cookies)
    anyone.cookies.set("orderly_refresh", refresh_token)
    problem(anyone.post("/api/v1/auth/refresh"), 401, "session_expired")


def test_a_second_click_is_401(alice: Client) -> None:
    alice.post("/api/v1/auth/logout")

    problem(alice.post("/api/v1/auth/logout"), 401, "unauthenticated")
