"""GET /auth/sessions."""

from __future__ import annotations

from collections.abc import Callable

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

SESSIONS = "/api/v1/auth/sessions"


def test_the_list_has_all_sessions_of_the_user_and_marks_the_current_session(
    alice: Client, bob: Client, sign_in: Callable[[str, str], Client]
) -> None:
    telephone = sign_in("alice@example.com", PASSWORD)

    response = telephone.get(SESSIONS)

    assert 200 == response.status_code
    newest, oldest = response.json()["items"]
    assert (True, False) == (newest["current"], oldest["current"])
    assert "python-httpx" in newest["user_agent"]
    assert newest["created_at"] <= newest["last_used_at"] < newest["expires_at"]


def test_a_session_that_has_ended_is_not_listed(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    sign_in("alice@example.com", PASSWORD).post("/api/v1/auth/logout")

    assert [True] == [session["current"] for session in alice.get(SESSIONS).json()["items"]]


def test_sessions_are_paged(alice: Client, sign_in: Callable[[str, str], Client]) -> None:
    for _ in range(4):
        sign_in("alice@example.com", PASSWORD)

    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = alice.get(SESSIONS, params=query).json()
        seen += [session["id"] for session in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert 5 == len(seen) == len(set(seen))


def test_control_characters_in_a_user_agent_are_replaced(alice: Client, anonymous: Client) -> None:
    anonymous.post(
        "/api/v1/auth/login",
        json={"email": "alice@example.com", "password": PASSWORD},
        headers={"User-Agent": b"a\x85\xffb\tc"},
    )

    assert "a\N{REPLACEMENT CHARACTER}\u00ffb\N{REPLACEMENT CHARACTER}c" in [
        session["user_agent"] for session in alice.get(SESSIONS).json()["items"]
    ]


def test_an_anonymous_request_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.get(SESSIONS), 401, "unauthenticated")
