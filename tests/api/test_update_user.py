"""PATCH /users/{user_id}."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import jwt
import pytest
from httpx2 import Client

from services import users
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.problems import assert_problem
from tests.support.settings import SIGNING_KEY

USERS = "/api/v1/users"


def user_id_of(client: Client) -> str:
    user_id: str = client.get(f"{USERS}/me").json()["id"]
    return user_id


def update(admin: Client, user_id: str, **changes: object) -> Any:
    return admin.patch(f"{USERS}/{user_id}", json=changes)


@pytest.fixture
def other_admin(shop: str, sign_in: Callable[[str, str], Client]) -> Client:
    users.create_admin(email="other@example.com", name="Grace", password=PASSWORD)
    return sign_in("other@example.com", PASSWORD)


def test_a_promoted_user_must_sign_in_again_to_be_an_administrator(
    admin: Client, alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    response = update(admin, user_id_of(alice), role="ADMIN")

    assert (200, "ADMIN") == (response.status_code, response.json()["role"])
    assert_problem(alice.get(USERS), 401, "invalid_token")
    assert 200 == sign_in("alice@example.com", PASSWORD).get(USERS).status_code


def test_a_demoted_administrator_loses_access_immediately(
    admin: Client, other_admin: Client, sign_in: Callable[[str, str], Client]
) -> None:
    update(admin, user_id_of(other_admin), role="CLIENT")

    assert_problem(other_admin.get(USERS), 401, "invalid_token")
    assert_problem(sign_in("other@example.com", PASSWORD).get(USERS), 403, "forbidden")


def test_a_disabled_user_is_signed_out_and_cannot_sign_in(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    credentials = {"email": "alice@example.com", "password": PASSWORD}

    response = update(admin, user_id_of(alice), active=False)

    assert (200, False) == (response.status_code, response.json()["active"])
    assert_problem(alice.get(f"{USERS}/me"), 401, "invalid_token")
    assert_problem(alice.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert_problem(
        anonymous.post("/api/v1/auth/login", json=credentials), 401, "invalid_credentials"
    )
    assert_problem(
        anonymous.post("/api/v1/auth/token", json=credentials), 401, "invalid_credentials"
    )


def test_an_enabled_user_can_sign_in_again_but_old_sessions_stay_ended(
    admin: Client, alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    user_id = user_id_of(alice)
    update(admin, user_id, active=False)
    update(admin, user_id, active=True)

    assert_problem(alice.get(f"{USERS}/me"), 401, "invalid_token")
    assert_problem(alice.post("/api/v1/auth/refresh"), 401, "session_expired")
    sign_in("alice@example.com", PASSWORD)


@pytest.mark.parametrize("changes", [{"role": "CLIENT"}, {"active": False}])
def test_the_last_active_administrator_cannot_be_demoted_or_disabled(
    admin: Client, changes: dict[str, object]
) -> None:
    assert_problem(update(admin, user_id_of(admin), **changes), 409, "last_administrator")

    assert 200 == admin.get(USERS).status_code


def test_a_disabled_administrator_does_not_count_as_an_active_administrator(
    admin: Client, other_admin: Client
) -> None:
    update(admin, user_id_of(other_admin), active=False)

    assert_problem(update(admin, user_id_of(admin), role="CLIENT"), 409, "last_administrator")


def test_two_administrators_who_demote_each_other_concurrently_leave_one_administrator(
    admin: Client, other_admin: Client, sign_in: Callable[[str, str], Client]
) -> None:
    first, second = user_id_of(admin), user_id_of(other_admin)

    with ThreadPoolExecutor(2) as threads:
        futures = [
            threads.submit(update, admin, second, role="CLIENT"),
            threads.submit(update, other_admin, first, role="CLIENT"),
        ]
    statuses = Counter(future.result().status_code for future in futures)

    assert 1 == statuses[200]
    assert statuses.keys() <= {200, 401, 403}
    clients = (sign_in(*ADMIN), sign_in("other@example.com", PASSWORD))
    assert [200, 403] == sorted(client.get(USERS).status_code for client in clients)


def test_setting_the_current_values_changes_nothing(admin: Client, alice: Client) -> None:
    response = update(admin, user_id_of(alice), role="CLIENT", active=True)

    assert 200 == response.status_code
    assert 200 == alice.get(f"{USERS}/me").status_code


def test_only_administrators_can_update_users(alice: Client, anonymous: Client) -> None:
    user_id = user_id_of(alice)

    assert_problem(update(alice, user_id, role="ADMIN"), 403, "forbidden")
    assert_problem(update(anonymous, user_id, role="ADMIN"), 401, "unauthenticated")


def test_the_role_in_a_token_is_checked_against_the_database(
    alice: Client, anonymous: Client
) -> None:
    """Such a token exists for a short time after an administrator was demoted."""
    token = alice.cookies["orderly_access"]
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = jwt.get_unverified_header(token)
    stale = jwt.encode(claims | {"role": "ADMIN"}, SIGNING_KEY, "HS256", headers=headers)

    response = anonymous.patch(
        f"{USERS}/{claims['sub']}",
        json={"role": "ADMIN"},
        headers={"Authorization": f"Bearer {stale}"},
    )

    assert_problem(response, 403, "forbidden")
    assert "CLIENT" == alice.get(f"{USERS}/me").json()["role"]


def test_an_unknown_user_is_404(admin: Client) -> None:
    assert_problem(update(admin, str(uuid4()), active=False), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"role": None}, {"role": "OWNER"}, {"active": 1}, {"name": "Eve"}, {"email": "a@b.cd"}],
)
def test_an_invalid_body_is_400(admin: Client, body: dict[str, object]) -> None:
    assert_problem(update(admin, user_id_of(admin), **body), 400, "malformed_request")
