"""POST /auth/logout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from httpx2 import Client, Response

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

LOGOUT = "/api/v1/auth/logout"


def test_signing_out_clears_the_cookies_and_ends_the_session(
    alice: Client, anonymous: Client
) -> None:
    refresh_token = alice.cookies["orderly_refresh"]

    response = alice.post(LOGOUT)

    assert (204, b"") == (response.status_code, response.content)
    assert 2 == len(response.headers.get_list("set-cookie"))
    assert '"cache", "storage"' == response.headers["clear-site-data"]
    assert {} == dict(alice.cookies)
    anonymous.cookies.set("orderly_refresh", refresh_token)
    assert_problem(anonymous.post("/api/v1/auth/refresh"), 401, "session_expired")


def test_signing_out_a_second_time_is_401(alice: Client) -> None:
    alice.post(LOGOUT)

    assert_problem(alice.post(LOGOUT), 401, "unauthenticated")


def test_the_refresh_cookie_alone_ends_its_session(alice: Client, anonymous: Client) -> None:
    """The browser no longer sends the access cookie when it has expired."""
    access_token = alice.cookies["orderly_access"]
    del alice.cookies["orderly_access"]

    response = alice.post(LOGOUT)

    assert_signed_out(response)
    headers = {"Authorization": f"Bearer {access_token}"}
    assert_problem(anonymous.get("/api/v1/users/me", headers=headers), 401, "invalid_token")


def test_an_invalid_access_cookie_does_not_keep_the_refresh_token_valid(
    alice: Client, anonymous: Client
) -> None:
    refresh_token = alice.cookies["orderly_refresh"]
    cookies = {"Cookie": f"orderly_access=expired; orderly_refresh={refresh_token}"}

    assert_signed_out(anonymous.post(LOGOUT, headers=cookies))

    refreshed = anonymous.post("/api/v1/auth/refresh", headers=cookies)
    assert_problem(refreshed, 401, "session_expired")


def test_cookies_of_two_sessions_end_both(
    alice: Client, anonymous: Client, sign_in: Callable[[str, str], Client]
) -> None:
    other = sign_in("alice@example.com", PASSWORD)
    access_token, refresh_token = alice.cookies["orderly_access"], other.cookies["orderly_refresh"]
    cookies = {"Cookie": f"orderly_access={access_token}; orderly_refresh={refresh_token}"}

    assert_signed_out(anonymous.post(LOGOUT, headers=cookies))

    for client in (alice, other):
        assert_problem(client.get("/api/v1/users/me"), 401, "invalid_token")
        assert_problem(client.post("/api/v1/auth/refresh"), 401, "session_expired")


@pytest.mark.parametrize("name", ["orderly_access", "orderly_refresh"])
def test_cookies_of_no_session_are_cleared(anonymous: Client, name: str) -> None:
    assert_signed_out(anonymous.post(LOGOUT, headers={"Cookie": f"{name}=unknown"}))


def test_a_bearer_token_ends_only_its_own_session(
    alice: Client, bob: Client, anonymous: Client
) -> None:
    """An explicit header takes precedence over the cookies that a browser attaches."""
    headers = {
        "Authorization": f"Bearer {alice.cookies['orderly_access']}",
        "Cookie": f"orderly_refresh={bob.cookies['orderly_refresh']}",
    }

    assert 204 == anonymous.post(LOGOUT, headers=headers).status_code

    assert_problem(alice.get("/api/v1/users/me"), 401, "invalid_token")
    assert 200 == bob.post("/api/v1/auth/refresh").status_code


def test_an_invalid_bearer_token_is_401(anonymous: Client) -> None:
    response = anonymous.post(LOGOUT, headers={"Authorization": "Bearer nonsense"})

    assert_problem(response, 401, "invalid_token")


@pytest.mark.parametrize("name", ["orderly_access", "orderly_refresh"])
@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}]
)
def test_another_site_cannot_sign_a_user_out(
    alice: Client, anonymous: Client, name: str, headers: dict[str, str]
) -> None:
    cookie = {"Cookie": f"{name}={alice.cookies[name]}"}

    response = anonymous.post(LOGOUT, headers={**headers, **cookie})

    assert_problem(response, 403, "cross_site_request")
    assert "set-cookie" not in response.headers
    assert 200 == alice.post("/api/v1/auth/refresh").status_code


def assert_signed_out(response: Response) -> None:
    """Assert that a response clears both cookies."""
    assert (204, b"") == (response.status_code, response.content)
    cleared = response.headers.get_list("set-cookie")
    assert ["orderly_access=", "orderly_refresh="] == [one.partition(";")[0] for one in cleared]
    assert all("; Max-Age=0;" in cookie for cookie in cleared)
