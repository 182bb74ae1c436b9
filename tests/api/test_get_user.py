"""GET /users/{user_id}."""

from __future__ import annotations

from uuid import uuid4

from httpx2 import Client

from tests.support.problems import assert_problem

USERS = "/api/v1/users"


def test_an_administrator_looks_at_somebody(admin: Client, alice: Client) -> None:
    me = alice.get(f"{USERS}/me").json()

    assert me == admin.get(f"{USERS}/{me['id']}").json()


def test_somebody_who_is_not_there_is_404(admin: Client) -> None:
    assert_problem(admin.get(f"{USERS}/{uuid4()}"), 404, "not_found")
    assert_problem(admin.get(f"{USERS}/nobody"), 400, "malformed_request")


def test_it_is_for_administrators(alice: Client, anonymous: Client) -> None:
    own = f"{USERS}/{alice.get(f'{USERS}/me').json()['id']}"

    assert_problem(alice.get(own), 403, "forbidden")
    assert_problem(anonymous.get(own), 401, "unauthenticated")
