"""POST /auth/login."""

from __future__ import annotations

from collections.abc import Callable

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem


def login(client: Client, email: str, password: str) -> object:
    return client.post("/api/v1/auth/login", json={"email": email, "password": password})


def test_signing_in_sets_cookies_that_scripts_cannot_read(alice: Client, anonymous: Client) -> None:
    response = login(anonymous, "Alice@Example.com", PASSWORD)

    assert 200 == response.status_code
    assert {"user", "session", "access_expires_at"} == response.json().keys()
    cookies = response.headers.get_list("set-cookie")
    assert ["orderly_access", "orderly_refresh"] == [cookie.partition("=")[0] for cookie in cookies]
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
    assert "Path=/api/v1/auth;" in cookies[1]
    assert "no-store" == response.headers["cache-control"]
    for value in anonymous.cookies.values():
        assert value not in response.text


def test_a_wrong_password_and_an_unknown_email_get_the_same_response(
    alice: Client, anonymous: Client
) -> None:
    wrong = assert_problem(
        login(anonymous, "alice@example.com", "not the password"), 401, "invalid_credentials"
    )
    unknown = assert_problem(
        login(anonymous, "unknown@example.com", "not the password"), 401, "invalid_credentials"
    )

    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


def test_a_failed_sign_in_has_the_www_authenticate_header(anonymous: Client) -> None:
    response = login(anonymous, "unknown@example.com", "not the password")

    assert response.headers["www-authenticate"].startswith("Bearer")


def test_signing_in_again_in_a_browser_ends_its_session(
    alice: Client, anonymous: Client, sign_in: Callable[[str, str], Client]
) -> None:
    other = sign_in("alice@example.com", PASSWORD)
    access_token = alice.cookies["orderly_access"]

    login(alice, "alice@example.com", PASSWORD)

    headers = {"Authorization": f"Bearer {access_token}"}
    assert_problem(anonymous.get("/api/v1/users/me", headers=headers), 401, "invalid_token")
    for client in (alice, other):
        assert 2 == len(client.get("/api/v1/auth/sessions").json()["items"])


def test_signing_in_as_another_user_ends_the_session_of_the_browser(
    alice: Client, bob: Client, anonymous: Client
) -> None:
    refresh_token = alice.cookies["orderly_refresh"]

    login(alice, "bob@example.com", PASSWORD)

    anonymous.cookies.set("orderly_refresh", refresh_token)
    assert_problem(anonymous.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert 200 == bob.get("/api/v1/users/me").status_code


def test_a_failed_sign_in_keeps_the_session(alice: Client) -> None:
    login(alice, "alice@example.com", "not the password")

    assert 200 == alice.get("/api/v1/users/me").status_code
