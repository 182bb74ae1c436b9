"""GET /users."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem

USERS = "/api/v1/users"


def list_names(admin: Client, **query: Any) -> list[str]:
    response = admin.get(USERS, params=query)
    assert 200 == response.status_code, response.text
    return [user["email"].partition("@")[0] for user in response.json()["items"]]


def test_an_administrator_can_list_all_users_newest_first(
    admin: Client, alice: Client, bob: Client
) -> None:
    assert ["bob", "alice", "admin"] == list_names(admin)
    assert ["admin", "alice", "bob"] == list_names(admin, sort="created_at")


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ali", ["alice"]),
        ("ALICE", ["alice"]),
        ("example.com bo", ["bob"]),
        ("bob@example.com", ["bob"]),
        ("lice", []),
        ("Ada", ["admin"]),
        ("%", []),
        ("' | 'x", []),
    ],
)
def test_a_search_matches_the_beginnings_of_words(
    admin: Client, alice: Client, bob: Client, q: str, found: list[str]
) -> None:
    assert found == list_names(admin, q=q)


def test_users_can_be_filtered_by_role_and_active(
    admin: Client, alice: Client, bob: Client
) -> None:
    admin.patch(f"{USERS}/{bob.get(f'{USERS}/me').json()['id']}", json={"active": False})

    assert ["admin"] == list_names(admin, role="ADMIN")
    assert ["bob"] == list_names(admin, active="false")
    assert ["alice"] == list_names(admin, active="true", role="CLIENT")


def test_users_are_paged(admin: Client, alice: Client, bob: Client) -> None:
    first = admin.get(USERS, params={"limit": 2}).json()

    second = admin.get(USERS, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert ["bob@example.com", "alice@example.com"] == [user["email"] for user in first["items"]]
    assert (["admin@example.com"], None) == (
        [user["email"] for user in second["items"]],
        second["next_cursor"],
    )


def test_only_administrators_can_list_users(alice: Client, anonymous: Client) -> None:
    assert "ADMIN" == assert_problem(alice.get(USERS), 403, "forbidden")["required_role"]
    assert_problem(anonymous.get(USERS), 401, "unauthenticated")
