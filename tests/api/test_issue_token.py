"""POST /auth/token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import PASSWORD, Client
from tests.api.problems import problem

TOKEN = "/api/v1/auth/token"
ME = "/api/v1/users/me"


def token(client: Client, **body: str) -> Any:
    return client.post(TOKEN, json=body)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_email_and_password_give_tokens_in_the_body_and_no_cookie(
    alice: Client, anyone: Client
) -> None:
    answer = token(anyone, email="Alice@example.com", password=PASSWORD)

    assert 200 == answer.status_code
    assert "no-store" == answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert "Bearer" == answer.json()["token_type"]
    assert "alice@example.com" == anyone.get(ME, headers=bearer(answer.json())).json()["email"]


def test_a_refresh_token_gives_the_next_pair_once(alice: Client, anyone: Client) -> None:
    first = token(anyone, email="alice@example.com", password=PASSWORD).json()

    second = token(anyone, refresh_token=first["refresh_token"]).json()

    assert first["session"]["id"] == second["session"]["id"]
    assert first["refresh_token"] != second["refresh_token"]
    problem(token(anyone, refresh_token=first["refresh_token"]), 409, "refresh_raced")
    assert 200 == anyone.get(ME, headers=bearer(second)).status_code


def test_a_spent_token_in_other_hands_ends_the_session(alice: Client, anyone: Client) -> None:
    first = token(anyone, email="alice@example.com", password=PASSWORD).json()
    second = token(anyone, refresh_token=first["refresh_token"]).json()

    stolen = anyone.post(
        TOKEN,
        json={"refresh_token": first["refresh_token"]},
        headers={"User-Agent": "somebody else"},
    )

    problem(stolen, 401, "session_expired")
    problem(anyone.get(ME, headers=bearer(second)), 401, "invalid_token")
    problem(token(anyone, refresh_token=second["refresh_token"]), 401, "session_expired")


def test_these_sessions_are_listed_and_revoked_like_any_other(
    alice: Client, anyone: Client
) -> None:
    tokens = token(anyone, email="alice@example.com", password=PASSWORD).json()
    listed = [one["id"] for one in alice.get("/api/v1/auth/sessions").json()["items"]]

    answer = alice.delete(f"/api/v1/auth/sessions/{tokens['session']['id']}")

    assert tokens["session"]["id"] in listed
    assert 204 == answer.status_code
    problem(anyone.get(ME, headers=bearer(tokens)), 401, "invalid_token")


def test_wrong_credentials_are_refused_as_at_login(alice: Client, anyone: Client) -> None:
    answer = token(anyone, email="alice@example.com", password="not the password")

    problem(answer, 401, "invalid_credentials")


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
def test_it_is_one_or_the_other(anyone: Client, body: dict[str, str]) -> None:
    problem(token(anyone, **body), 400, "malformed_request")
