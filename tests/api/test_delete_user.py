"""DELETE /users/{user_id}."""

from __future__ import annotations

from uuid import uuid4

import httpx2
import pytest
from httpx2 import Client

from tests.support.accounts import ADMIN, PASSWORD
from tests.support.database import Sql
from tests.support.problems import assert_problem
from tests.support.shop import add_product, place_order

USERS = "/api/v1/users"


def delete(client: Client, user_id: str, password: str = ADMIN[1]) -> httpx2.Response:
    body = {"current_password": password}
    return client.request("DELETE", f"{USERS}/{user_id}", json=body)


def id_of(client: Client) -> str:
    user_id: str = client.get(f"{USERS}/me").json()["id"]
    return user_id


def test_a_deleted_user_is_listed_without_data(admin: Client, alice: Client) -> None:
    user_id = id_of(alice)

    response = delete(admin, user_id)

    assert 202 == response.status_code
    assert user_id == response.json()["user_id"]
    user = admin.get(f"{USERS}/{user_id}").json()
    assert user in admin.get(USERS).json()["items"]
    assert ("Deleted user", False, False) == (user["name"], user["active"], user["email_verified"])
    assert user["email"].endswith("@deleted.invalid")
    assert response.json()["deleted_at"] == user["deleted_at"]
    assert [] == admin.get(USERS, params={"q": "alice"}).json()["items"]
    assert_problem(alice.get(f"{USERS}/me"), 401, "invalid_token")
    (event,) = admin.get(f"/api/v1/security-events?user_id={user_id}&type=USER_DELETED").json()[
        "items"
    ]
    assert (id_of(admin), "127.0.0.1") == (event["actor_user_id"], event["address"])


@pytest.mark.parametrize("change", [{"active": True}, {"active": False}, {"role": "ADMIN"}])
def test_a_deleted_user_cannot_be_changed(
    admin: Client, alice: Client, change: dict[str, object]
) -> None:
    user_id = id_of(alice)
    delete(admin, user_id)

    response = admin.patch(f"{USERS}/{user_id}", json=change)

    assert_problem(response, 409, "user_deleted")


def test_a_second_deletion_changes_nothing(admin: Client, alice: Client, sql: Sql) -> None:
    user_id = id_of(alice)
    first = delete(admin, user_id)
    before = sql("SELECT * FROM users ORDER BY id")

    second = delete(admin, user_id)

    assert (202, first.json()) == (second.status_code, second.json())
    assert before == sql("SELECT * FROM users ORDER BY id")


def test_a_disabled_user_can_be_deleted(admin: Client, alice: Client) -> None:
    user_id = id_of(alice)
    admin.patch(f"{USERS}/{user_id}", json={"active": False})

    assert 202 == delete(admin, user_id).status_code


def test_a_deleted_user_can_be_exported(admin: Client, alice: Client) -> None:
    user_id = id_of(alice)
    delete(admin, user_id)

    exported = admin.get(f"{USERS}/{user_id}/export")

    assert "alice" not in exported.text
    assert [("", "")] == [
        (one["address"], one["user_agent"]) for one in exported.json()["sessions"]
    ]


def test_the_password_is_that_of_the_administrator(admin: Client, alice: Client) -> None:
    assert_problem(delete(admin, id_of(alice), PASSWORD), 409, "current_password_wrong")


def test_orders_under_way_prevent_it(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()

    problem = assert_problem(delete(admin, id_of(alice)), 409, "orders_in_progress")

    assert [order["number"]] == problem["order_numbers"]


def test_the_last_administrator_cannot_delete_their_own_account(admin: Client) -> None:
    assert_problem(delete(admin, id_of(admin)), 409, "last_administrator")


def test_an_unknown_user_is_a_404(admin: Client) -> None:
    assert_problem(delete(admin, str(uuid4())), 404, "not_found")


def test_only_administrators_can_delete_others(
    alice: Client, bob: Client, anonymous: Client
) -> None:
    assert_problem(delete(alice, id_of(bob), PASSWORD), 403, "forbidden")
    assert_problem(delete(anonymous, id_of(bob)), 401, "unauthenticated")


def test_a_former_administrator_cannot_delete_others(
    admin: Client, alice: Client, sql: Sql
) -> None:
    user_id = id_of(alice)
    # Other processes learn of it within two seconds; this one not at all.
    sql("UPDATE users SET role = 'CLIENT' WHERE email = %s", ADMIN[0])

    assert_problem(delete(admin, user_id), 403, "forbidden")

    assert 200 == alice.get(f"{USERS}/me").status_code
