"""DELETE /auth/sessions/{session_id}."""

from __future__ import annotations

from collections.abc import Callable

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

SESSIONS = "/api/v1/auth/sessions"
ME = "/api/v1/users/me"


def current_session_id(client: Client) -> str:
    (session,) = [item for item in client.get(SESSIONS).json()["items"] if item["current"]]
    session_id: str = session["id"]
    return session_id


def test_a_session_that_was_revoked_from_another_session_is_401(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    phone = sign_in("alice@example.com", PASSWORD)

    response = alice.delete(f"{SESSIONS}/{current_session_id(phone)}")

    assert 204 == response.status_code
    response = phone.get(ME)
    assert_problem(response, 401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert_problem(phone.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert 200 == alice.get(ME).status_code


def test_the_session_of_another_user_is_404(alice: Client, bob: Client, admin: Client) -> None:
    session_id = current_session_id(alice)

    assert_problem(bob.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")
    assert_problem(admin.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")
    assert 200 == alice.get(ME).status_code


def test_a_session_that_has_ended_is_404(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    phone = sign_in("alice@example.com", PASSWORD)
    session_id = current_session_id(phone)
    alice.delete(f"{SESSIONS}/{session_id}")

    assert_problem(alice.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")


def test_a_user_can_revoke_the_current_session(alice: Client) -> None:
    assert 204 == alice.delete(f"{SESSIONS}/{current_session_id(alice)}").status_code

    assert_problem(alice.get(ME), 401, "invalid_token")


def test_a_request_from_another_site_is_rejected(alice: Client) -> None:
    response = alice.delete(
        f"{SESSIONS}/{current_session_id(alice)}", headers={"sec-fetch-site": "cross-site"}
    )

    assert_problem(response, 403, "cross_site_request")
