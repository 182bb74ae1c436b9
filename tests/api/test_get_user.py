"""GET /users/{user_id}."""

from __future__ import annotations

from uuid import uuid4

from httpx2 import Client

from tests.support.problems import assert_problem

USERS = "/api/v1/users"


def test_an_administrator_can_retrieve_a_user(admin: Client, alice: Client) -> None:
    me = alice.get(f"{USERS}/me").json()

    assert me == admin.get(f"{USERS}/{me['id']}").json()


def test_an_unknown_user_is_404_and_an_invalid_id_400(admin: Client) -> None:
    assert_problem(admin.get(f"{USERS}/{uuid4()}"), 404, "not_found")
    assert_problem(admin.get(f"{USERS}/not-a-uuid"), 400, "malformed_request")


def test_only_administrators_can_retrieve_users(alice: Client, anonymous: Client) -> None:
    own = f"{USERS}/{alice.get(f'{USERS}/me').json()['id']}"

    assert_problem(alice.get(own), 403, "forbidden")
    assert_problem(anonymous.get(own), 401, "unauthenticated")
