"""PUT /auth/password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

NEW = "seven quiet herons at dusk"
ME = "/api/v1/users/me"


def change(client: Client, current: str = PASSWORD, new: str = NEW, **options: Any) -> Any:
    body = {"current_password": current, "new_password": new}
    return client.put("/api/v1/auth/password", json=body, **options)


def test_the_new_password_signs_in_and_the_old_one_does_not(
    alice: Client, anonymous: Client, sign_in: Callable[[str, str], Client]
) -> None:
    assert 204 == change(alice).status_code

    sign_in("alice@example.com", NEW)
    old = {"email": "alice@example.com", "password": PASSWORD}
    assert_problem(anonymous.post("/api/v1/auth/login", json=old), 401, "invalid_credentials")


def test_all_other_sessions_of_the_user_end_and_the_client_stays_signed_in(
    alice: Client, bob: Client, sign_in: Callable[[str, str], Client]
) -> None:
    other_session = sign_in("alice@example.com", PASSWORD)

    change(alice)

    assert_problem(other_session.get(ME), 401, "invalid_token")
    assert_problem(other_session.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert 200 == alice.get(ME).status_code
    assert 200 == alice.post("/api/v1/auth/refresh").status_code
    assert 200 == bob.get(ME).status_code


def test_the_tokens_that_were_used_before_are_refused(alice: Client, anonymous: Client) -> None:
    """An attacker who has copied the cookies before the change cannot use the session."""
    before = dict(alice.cookies)

    response = change(alice)

    assert 2 == len(response.headers.get_list("set-cookie"))
    assert all(before[name] != alice.cookies[name] for name in before)
    assert 200 == alice.post("/api/v1/auth/refresh").status_code
    access = {"Authorization": f"Bearer {before['orderly_access']}"}
    assert_problem(anonymous.get(ME, headers=access), 401, "invalid_token")
    (new_session,) = alice.get("/api/v1/auth/sessions").json()["items"]
    path = f"/api/v1/auth/sessions/{new_session['id']}"
    assert_problem(anonymous.delete(path, headers=access), 401, "invalid_token")
    anonymous.cookies.set("orderly_refresh", before["orderly_refresh"])
    stolen = anonymous.post("/api/v1/auth/refresh", headers={"User-Agent": "a thief"})
    assert_problem(stolen, 401, "session_expired")


def test_a_client_without_cookies_gets_the_new_tokens_in_the_body(
    alice: Client, anonymous: Client
) -> None:
    credentials = {"email": "alice@example.com", "password": PASSWORD}
    before = anonymous.post("/api/v1/auth/token", json=credentials).json()

    response = change(anonymous, headers={"Authorization": f"Bearer {before['access_token']}"})

    assert 200 == response.status_code
    assert "set-cookie" not in response.headers
    assert "no-store" == response.headers["cache-control"]
    tokens = response.json()
    assert before.keys() == tokens.keys()
    assert before["session"]["id"] != tokens["session"]["id"]
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert 200 == anonymous.post("/api/v1/auth/token", json=refresh).status_code
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert 200 == anonymous.get(ME, headers=headers).status_code
    assert_problem(alice.get(ME), 401, "invalid_token")


def test_a_wrong_current_password_is_rejected_and_the_password_stays_the_same(
    alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    assert_problem(change(alice, current="not the password"), 409, "current_password_wrong")

    sign_in("alice@example.com", PASSWORD)


@pytest.mark.parametrize("new", ["password1234", "alice@example.com", "ALICE@example.com"])
def test_a_common_password_or_the_own_email_is_rejected(alice: Client, new: str) -> None:
    assert_problem(change(alice, new=new), 409, "password_rejected")


@pytest.mark.parametrize("new", ["password1234", "alice@example.com"])
def test_a_password_is_checked_in_the_unicode_form_that_is_hashed(alice: Client, new: str) -> None:
    """The hash is that of the NFKC form, so full-width letters equal the usual ones."""
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in new)

    assert_problem(change(alice, new=full_width), 409, "password_rejected")


@pytest.mark.parametrize("new", ["ninechars", "x" * 129])
def test_a_new_password_must_have_10_to_128_characters(alice: Client, new: str) -> None:
    errors = assert_problem(change(alice, new=new), 400, "malformed_request")["errors"]

    assert {"/new_password"} == {error["pointer"] for error in errors}


def test_an_anonymous_request_is_401(anonymous: Client) -> None:
    assert_problem(change(anonymous), 401, "unauthenticated")


def test_a_request_from_another_site_is_rejected(alice: Client) -> None:
    response = change(alice, headers={"sec-fetch-site": "cross-site"})

    assert_problem(response, 403, "cross_site_request")
