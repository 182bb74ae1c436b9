"""DELETE /auth/sessions/{session_id}."""

from __future__ import annotations

from collections.abc import Callable

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

SESSIONS = "/api/v1/auth/sessions"
ME = "/api/v1/users/me"


def current(client: Client) -> str:
    (one,) = [one for one in client.get(SESSIONS).json()["items"] if one["current"]]
    session_id: str = one["id"]
    return session_id


def test_a_session_that_is_ended_elsewhere_is_refused(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    telephone = sign_in("alice@example.com", PASSWORD)

    answer = alice.delete(f"{SESSIONS}/{current(telephone)}")

    assert 204 == answer.status_code
    refused = telephone.get(ME)
    assert_problem(refused, 401, "invalid_token")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert_problem(telephone.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert 200 == alice.get(ME).status_code


def test_somebody_elses_session_is_not_there(alice: Client, bob: Client, admin: Client) -> None:
    session_id = current(alice)

    assert_problem(bob.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")
    assert_problem(admin.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")
    assert 200 == alice.get(ME).status_code


def test_a_session_that_is_over_is_not_there(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    telephone = sign_in("alice@example.com", PASSWORD)
    session_id = current(telephone)
    alice.delete(f"{SESSIONS}/{session_id}")

    assert_problem(alice.delete(f"{SESSIONS}/{session_id}"), 404, "not_found")


def test_one_may_end_the_session_that_asks(alice: Client) -> None:
    assert 204 == alice.delete(f"{SESSIONS}/{current(alice)}").status_code

    assert_problem(alice.get(ME), 401, "invalid_token")


def test_another_site_cannot_end_it(alice: Client) -> None:
    answer = alice.delete(f"{SESSIONS}/{current(alice)}", headers={"sec-fetch-site": "cross-site"})

    assert_problem(answer, 403, "cross_site_request")
