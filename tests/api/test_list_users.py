"""GET /users."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem

USERS = "/api/v1/users"


def emails(admin: Client, **query: Any) -> list[str]:
    answer = admin.get(USERS, params=query)
    assert 200 == answer.status_code, answer.text
    return [one["email"].partition("@")[0] for one in answer.json()["items"]]


def test_an_administrator_sees_everybody_the_newest_first(
    admin: Client, alice: Client, bob: Client
) -> None:
    assert ["bob", "alice", "admin"] == emails(admin)
    assert ["admin", "alice", "bob"] == emails(admin, sort="created_at")


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
def test_one_searches_by_the_beginnings_of_words(
    admin: Client, alice: Client, bob: Client, q: str, found: list[str]
) -> None:
    assert found == emails(admin, q=q)


def test_one_filters_by_role_and_by_who_is_disabled(
    admin: Client, alice: Client, bob: Client
) -> None:
    admin.patch(f"{USERS}/{bob.get(f'{USERS}/me').json()['id']}", json={"active": False})

    assert ["admin"] == emails(admin, role="ADMIN")
    assert ["bob"] == emails(admin, active="false")
    assert ["alice"] == emails(admin, active="true", role="CLIENT")


def test_it_comes_in_pages(admin: Client, alice: Client, bob: Client) -> None:
    first = admin.get(USERS, params={"limit": 2}).json()

    second = admin.get(USERS, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert ["bob@example.com", "alice@example.com"] == [one["email"] for one in first["items"]]
    assert (["admin@example.com"], None) == (
        [one["email"] for one in second["items"]],
        second["next_cursor"],
    )


def test_it_is_for_administrators(alice: Client, anonymous: Client) -> None:
    assert "ADMIN" == assert_problem(alice.get(USERS), 403, "forbidden")["required_role"]
    assert_problem(anonymous.get(USERS), 401, "unauthenticated")
