"""GET /security-events."""

from __future__ import annotations

from typing import Any

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

EVENTS = "/api/v1/security-events"
ME = "/api/v1/users/me"


def events(admin: Client, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get(EVENTS, params=query)
    assert 200 == answer.status_code, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def types(admin: Client, **query: Any) -> list[str]:
    return [one["type"] for one in events(admin, sort="created_at", **query)]


def test_it_tells_of_a_person_from_registration_to_sign_out(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    user_id = alice.get(ME).json()["id"]
    login = {"email": "alice@example.com", "password": "not the password"}
    anonymous.post("/api/v1/auth/login", json=login)
    body = {"current_password": "not the password", "new_password": "seven quiet herons"}
    alice.put("/api/v1/auth/password", json=body)
    alice.put("/api/v1/auth/password", json=body | {"current_password": PASSWORD})
    alice.post("/api/v1/auth/logout")

    assert [
        "REGISTERED",
        "SIGNED_IN",
        "SIGN_IN_FAILED",
        "PASSWORD_CHANGE_FAILED",
        "PASSWORD_CHANGED",
        "SIGNED_OUT",
    ] == types(admin, user_id=user_id)


def test_it_tells_of_a_token_used_twice(admin: Client, alice: Client, anonymous: Client) -> None:
    spent = alice.cookies["orderly_refresh"]
    alice.post("/api/v1/auth/refresh")
    anonymous.cookies.set("orderly_refresh", spent)

    anonymous.post("/api/v1/auth/refresh", headers={"User-Agent": "a thief"})

    (event,) = events(admin, type="REFRESH_TOKEN_REUSED")
    assert "a thief" == event["user_agent"]
    assert event["session_id"] is not None


def test_it_tells_who_changed_whose_role_and_what_came_of_it(admin: Client, alice: Client) -> None:
    me, admin_id = alice.get(ME).json(), admin.get(ME).json()["id"]
    user_id = me["id"]
    request = {"X-Request-ID": "promote-alice"}
    admin.patch(f"/api/v1/users/{user_id}", json={"role": "ADMIN"}, headers=request)
    admin.patch(f"/api/v1/users/{user_id}", json={"active": False})
    admin.patch(f"/api/v1/users/{user_id}", json={"active": True})

    changed, revoked = events(
        admin, user_id=user_id, type=["ROLE_CHANGED", "SESSION_REVOKED"], sort="created_at"
    )

    assert ("CLIENT", "ADMIN") == (changed["from_role"], changed["to_role"])
    assert (admin_id, "promote-alice") == (changed["actor_user_id"], changed["request_id"])
    assert "127.0.0.1" == changed["address"]
    assert admin_id == revoked["actor_user_id"]
    assert ["USER_DISABLED", "USER_ENABLED"] == types(admin, user_id=user_id)[-2:]


def test_an_email_that_nobody_has_is_told_of_without_being_kept(
    admin: Client, anonymous: Client
) -> None:
    login = {"email": "my.password@example.com", "password": "not the password"}
    anonymous.post("/api/v1/auth/login", json=login)

    answer = admin.get(EVENTS, params={"type": "SIGN_IN_FAILED"})

    assert [None] == [one["user_id"] for one in answer.json()["items"]]
    assert "my.password" not in answer.text


def test_it_is_filtered_by_time_and_comes_in_pages(admin: Client, alice: Client) -> None:
    first, *_, last = events(admin, sort="created_at")

    assert first not in events(admin, created_from=last["created_at"])
    assert last not in events(admin, created_to=last["created_at"])
    page = admin.get(EVENTS, params={"limit": 1}).json()
    following = admin.get(EVENTS, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert page["items"] != following["items"]


def test_nobody_can_change_it(admin: Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = admin.request(method, EVENTS, json={})

        assert_problem(answer, 405, "method_not_allowed")
        assert "GET" == answer.headers["allow"]


def test_it_is_for_administrators(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(EVENTS), 403, "forbidden")
    assert_problem(anonymous.get(EVENTS), 401, "unauthenticated")
