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


def identity(client: Client) -> str:
    user_id: str = client.get(f"{USERS}/me").json()["id"]
    return user_id


def update(admin: Client, user_id: str, **changes: object) -> Any:
    return admin.patch(f"{USERS}/{user_id}", json=changes)


@pytest.fixture
def other_admin(shop: str, sign_in: Callable[[str, str], Client]) -> Client:
    users.create_admin(email="other@example.com", name="Grace", password=PASSWORD)
    return sign_in("other@example.com", PASSWORD)


def test_somebody_promoted_signs_in_again_as_an_administrator(
    admin: Client, alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    answer = update(admin, identity(alice), role="ADMIN")

    assert (200, "ADMIN") == (answer.status_code, answer.json()["role"])
    assert_problem(alice.get(USERS), 401, "invalid_token")
    assert 200 == sign_in("alice@example.com", PASSWORD).get(USERS).status_code


def test_somebody_demoted_loses_the_role_at_once(
    admin: Client, other_admin: Client, sign_in: Callable[[str, str], Client]
) -> None:
    update(admin, identity(other_admin), role="CLIENT")

    assert_problem(other_admin.get(USERS), 401, "invalid_token")
    assert_problem(sign_in("other@example.com", PASSWORD).get(USERS), 403, "forbidden")


def test_somebody_disabled_is_out_and_stays_out(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    credentials = {"email": "alice@example.com", "password": PASSWORD}

    answer = update(admin, identity(alice), active=False)

    assert (200, False) == (answer.status_code, answer.json()["active"])
    assert_problem(alice.get(f"{USERS}/me"), 401, "invalid_token")
    assert_problem(alice.post("/api/v1/auth/refresh"), 401, "session_expired")
    assert_problem(
        anonymous.post("/api/v1/auth/login", json=credentials), 401, "invalid_credentials"
    )
    assert_problem(
        anonymous.post("/api/v1/auth/token", json=credentials), 401, "invalid_credentials"
    )


def test_somebody_enabled_signs_in_again_but_no_old_session_comes_back(
    admin: Client, alice: Client, sign_in: Callable[[str, str], Client]
) -> None:
    user_id = identity(alice)
    update(admin, user_id, active=False)
    update(admin, user_id, active=True)

    assert_problem(alice.get(f"{USERS}/me"), 401, "invalid_token")
    assert_problem(alice.post("/api/v1/auth/refresh"), 401, "session_expired")
    sign_in("alice@example.com", PASSWORD)


@pytest.mark.parametrize("changes", [{"role": "CLIENT"}, {"active": False}])
def test_the_last_active_administrator_stays(admin: Client, changes: dict[str, object]) -> None:
    assert_problem(update(admin, identity(admin), **changes), 409, "last_administrator")

    assert 200 == admin.get(USERS).status_code


def test_one_who_is_disabled_is_no_administrator_to_count_on(
    admin: Client, other_admin: Client
) -> None:
    update(admin, identity(other_admin), active=False)

    assert_problem(update(admin, identity(admin), role="CLIENT"), 409, "last_administrator")


def test_two_who_demote_each_other_at_once_leave_one(
    admin: Client, other_admin: Client, sign_in: Callable[[str, str], Client]
) -> None:
    first, second = identity(admin), identity(other_admin)

    with ThreadPoolExecutor(2) as threads:
        answers = [
            threads.submit(update, admin, second, role="CLIENT"),
            threads.submit(update, other_admin, first, role="CLIENT"),
        ]
    statuses = Counter(one.result().status_code for one in answers)

    assert 1 == statuses[200]
    assert statuses.keys() <= {200, 401, 403}
    clients = (sign_in(*ADMIN), sign_in("other@example.com", PASSWORD))
    assert [200, 403] == sorted(one.get(USERS).status_code for one in clients)


def test_what_somebody_is_already_changes_nothing(admin: Client, alice: Client) -> None:
    answer = update(admin, identity(alice), role="CLIENT", active=True)

    assert 200 == answer.status_code
    assert 200 == alice.get(f"{USERS}/me").status_code


def test_it_is_for_administrators(alice: Client, anonymous: Client) -> None:
    user_id = identity(alice)

    assert_problem(update(alice, user_id, role="ADMIN"), 403, "forbidden")
    assert_problem(update(anonymous, user_id, role="ADMIN"), 401, "unauthenticated")


def test_a_token_that_says_more_than_is_true_raises_nobody(
    alice: Client, anonymous: Client
) -> None:
    """As one would that was issued a moment before its owner was demoted."""
    token = alice.cookies["orderly_access"]
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = jwt.get_unverified_header(token)
    stale = jwt.encode(claims | {"role": "ADMIN"}, SIGNING_KEY, "HS256", headers=headers)

    answer = anonymous.patch(
        f"{USERS}/{claims['sub']}",
        json={"role": "ADMIN"},
        headers={"Authorization": f"Bearer {stale}"},
    )

    assert_problem(answer, 403, "forbidden")
    assert "CLIENT" == alice.get(f"{USERS}/me").json()["role"]


def test_somebody_who_is_not_there_is_404(admin: Client) -> None:
    assert_problem(update(admin, str(uuid4()), active=False), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"role": None}, {"role": "OWNER"}, {"active": 1}, {"name": "Eve"}, {"email": "a@b.cd"}],
)
def test_what_does_not_fit_is_refused(admin: Client, body: dict[str, object]) -> None:
    assert_problem(update(admin, identity(admin), **body), 400, "malformed_request")
