"""POST /auth/login."""

from __future__ import annotations

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem


def login(client: Client, email: str, password: str) -> object:
    return client.post("/api/v1/auth/login", json={"email": email, "password": password})


def test_signing_in_sets_cookies_that_scripts_cannot_read(alice: Client, anonymous: Client) -> None:
    answer = login(anonymous, "Alice@Example.com", PASSWORD)

    assert 200 == answer.status_code
    assert {"user", "session", "access_expires_at"} == answer.json().keys()
    cookies = answer.headers.get_list("set-cookie")
    assert ["orderly_access", "orderly_refresh"] == [one.partition("=")[0] for one in cookies]
    assert all("HttpOnly" in one and "SameSite=Lax" in one for one in cookies)
    assert "Path=/api/v1/auth;" in cookies[1]
    assert "no-store" == answer.headers["cache-control"]
    for value in anonymous.cookies.values():
        assert value not in answer.text


def test_a_wrong_password_and_an_unknown_email_look_the_same(
    alice: Client, anonymous: Client
) -> None:
    wrong = assert_problem(
        login(anonymous, "alice@example.com", "not the password"), 401, "invalid_credentials"
    )
    unknown = assert_problem(
        login(anonymous, "nobody@example.com", "not the password"), 401, "invalid_credentials"
    )

    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


def test_a_refusal_says_how_to_sign_in(anonymous: Client) -> None:
    answer = login(anonymous, "nobody@example.com", "not the password")

    assert answer.headers["www-authenticate"].startswith("Bearer")
