"""POST /auth/token."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

TOKEN = "/api/v1/auth/token"
ME = "/api/v1/users/me"


def issue_token(client: Client, **body: str) -> Any:
    return client.post(TOKEN, json=body)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_email_and_password_return_tokens_in_the_body_and_set_no_cookie(
    alice: Client, anonymous: Client
) -> None:
    response = issue_token(anonymous, email="Alice@example.com", password=PASSWORD)

    assert 200 == response.status_code
    assert "no-store" == response.headers["cache-control"]
    assert "set-cookie" not in response.headers
    assert "Bearer" == response.json()["token_type"]
    assert "alice@example.com" == anonymous.get(ME, headers=bearer(response.json())).json()["email"]


def test_a_refresh_token_can_be_used_once(alice: Client, anonymous: Client) -> None:
    first = issue_token(anonymous, email="alice@example.com", password=PASSWORD).json()

    second = issue_token(anonymous, refresh_token=first["refresh_token"]).json()

    assert first["session"]["id"] == second["session"]["id"]
    assert first["refresh_token"] != second["refresh_token"]
    assert_problem(
        issue_token(anonymous, refresh_token=first["refresh_token"]), 409, "refresh_raced"
    )
    assert 200 == anonymous.get(ME, headers=bearer(second)).status_code


def test_a_used_refresh_token_from_another_client_ends_the_session(
    alice: Client, anonymous: Client
) -> None:
    first = issue_token(anonymous, email="alice@example.com", password=PASSWORD).json()
    second = issue_token(anonymous, refresh_token=first["refresh_token"]).json()

    replayed = anonymous.post(
        TOKEN,
        json={"refresh_token": first["refresh_token"]},
        headers={"User-Agent": "another client"},
    )

    assert_problem(replayed, 401, "session_expired")
    assert_problem(anonymous.get(ME, headers=bearer(second)), 401, "invalid_token")
    assert_problem(
        issue_token(anonymous, refresh_token=second["refresh_token"]), 401, "session_expired"
    )


def test_a_token_session_can_be_listed_and_revoked(alice: Client, anonymous: Client) -> None:
    tokens = issue_token(anonymous, email="alice@example.com", password=PASSWORD).json()
    listed = [session["id"] for session in alice.get("/api/v1/auth/sessions").json()["items"]]

    response = alice.delete(f"/api/v1/auth/sessions/{tokens['session']['id']}")

    assert tokens["session"]["id"] in listed
    assert 204 == response.status_code
    assert_problem(anonymous.get(ME, headers=bearer(tokens)), 401, "invalid_token")


def test_wrong_credentials_are_rejected_as_in_login(alice: Client, anonymous: Client) -> None:
    response = issue_token(anonymous, email="alice@example.com", password="not the password")

    assert_problem(response, 401, "invalid_credentials")


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
def test_the_body_must_have_either_credentials_or_a_refresh_token(
    anonymous: Client, body: dict[str, str]
) -> None:
    assert_problem(issue_token(anonymous, **body), 400, "malformed_request")
