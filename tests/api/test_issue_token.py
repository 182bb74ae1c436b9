"""POST /auth/token."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

TOKEN = "/api/v1/auth/token"
ME = "/api/v1/users/me"


def token(client: Client, **body: str) -> Any:
    return client.post(TOKEN, json=body)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_email_and_password_give_tokens_in_the_body_and_no_cookie(
    alice: Client, anonymous: Client
) -> None:
    answer = token(anonymous, email="Alice@example.com", password=PASSWORD)

    assert 200 == answer.status_code
    assert "no-store" == answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert "Bearer" == answer.json()["token_type"]
    assert "alice@example.com" == anonymous.get(ME, headers=bearer(answer.json())).json()["email"]


def test_a_refresh_token_gives_the_next_pair_once(alice: Client, anonymous: Client) -> None:
    first = token(anonymous, email="alice@example.com", password=PASSWORD).json()

    second = token(anonymous, refresh_token=first["refresh_token"]).json()

    assert first["session"]["id"] == second["session"]["id"]
    assert first["refresh_token"] != second["refresh_token"]
    assert_problem(token(anonymous, refresh_token=first["refresh_token"]), 409, "refresh_raced")
    assert 200 == anonymous.get(ME, headers=bearer(second)).status_code


def test_a_spent_token_in_other_hands_ends_the_session(alice: Client, anonymous: Client) -> None:
    first = token(anonymous, email="alice@example.com", password=PASSWORD).json()
    second = token(anonymous, refresh_token=first["refresh_token"]).json()

    stolen = anonymous.post(
        TOKEN,
        json={"refresh_token": first["refresh_token"]},
        headers={"User-Agent": "somebody else"},
    )

    assert_problem(stolen, 401, "session_expired")
    assert_problem(anonymous.get(ME, headers=bearer(second)), 401, "invalid_token")
    assert_problem(token(anonymous, refresh_token=second["refresh_token"]), 401, "session_expired")


def test_these_sessions_are_listed_and_revoked_like_any_other(
    alice: Client, anonymous: Client
) -> None:
    tokens = token(anonymous, email="alice@example.com", password=PASSWORD).json()
    listed = [one["id"] for one in alice.get("/api/v1/auth/sessions").json()["items"]]

    answer = alice.delete(f"/api/v1/auth/sessions/{tokens['session']['id']}")

    assert tokens["session"]["id"] in listed
    assert 204 == answer.status_code
    assert_problem(anonymous.get(ME, headers=bearer(tokens)), 401, "invalid_token")


def test_wrong_credentials_are_refused_as_at_login(alice: Client, anonymous: Client) -> None:
    answer = token(anonymous, email="alice@example.com", password="not the password")

    assert_problem(answer, 401, "invalid_credentials")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@example.com"},
        {"password": PASSWORD},
        {"email": "a@example.com", "password": PASSWORD, "refresh_token": "x" * 43},
        {"refresh_token": "short"},
        {"refresh_token": "x" * 43, "role": "ADMIN"},
    ],
)
def test_it_is_one_or_the_other(anonymous: Client, body: dict[str, str]) -> None:
    assert_problem(token(anonymous, **body), 400, "malformed_request")
