"""GET /security-events."""

from __future__ import annotations

from typing import Any

from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

EVENTS = "/api/v1/security-events"
ME = "/api/v1/users/me"


def events(admin: Client, **query: Any) -> list[dict[str, Any]]:
    response = admin.get(EVENTS, params=query)
    assert 200 == response.status_code, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def types(admin: Client, **query: Any) -> list[str]:
    return [event["type"] for event in events(admin, sort="created_at", **query)]


def test_the_log_has_every_event_of_a_user_from_registration_to_sign_out(
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
        "SIGNED_IN",  # the session that replaces the one of the change
        "SIGNED_OUT",
    ] == types(admin, user_id=user_id)


def test_reuse_of_a_refresh_token_is_logged(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    used = alice.cookies["orderly_refresh"]
    alice.post("/api/v1/auth/refresh")
    anonymous.cookies.set("orderly_refresh", used)

    anonymous.post("/api/v1/auth/refresh", headers={"User-Agent": "a thief"})

    (event,) = events(admin, type="REFRESH_TOKEN_REUSED")
    assert "a thief" == event["user_agent"]
    assert event["session_id"] is not None


def test_a_role_change_is_logged_with_its_administrator_and_the_revoked_session(
    admin: Client, alice: Client
) -> None:
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


def test_a_sign_in_with_an_unknown_email_is_logged_without_the_email(
    admin: Client, anonymous: Client
) -> None:
    login = {"email": "my.password@example.com", "password": "not the password"}
    anonymous.post("/api/v1/auth/login", json=login)

    response = admin.get(EVENTS, params={"type": "SIGN_IN_FAILED"})

    assert [None] == [event["user_id"] for event in response.json()["items"]]
    assert "my.password" not in response.text


def test_the_log_can_be_filtered_by_time_and_is_paged(admin: Client, alice: Client) -> None:
    first, *_, last = events(admin, sort="created_at")

    assert first not in events(admin, created_from=last["created_at"])
    assert last not in events(admin, created_to=last["created_at"])
    page = admin.get(EVENTS, params={"limit": 1}).json()
    next_page = admin.get(EVENTS, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert page["items"] != next_page["items"]


def test_the_log_is_read_only(admin: Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = admin.request(method, EVENTS, json={})

        assert_problem(response, 405, "method_not_allowed")
        assert "GET" == response.headers["allow"]


def test_only_administrators_can_read_the_log(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(EVENTS), 403, "forbidden")
    assert_problem(anonymous.get(EVENTS), 401, "unauthenticated")
