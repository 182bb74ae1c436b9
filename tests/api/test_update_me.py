"""PATCH /users/me."""

from __future__ import annotations

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem

ME = "/api/v1/users/me"


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_one_may_change_what_one_is_called(alice: Client, media_type: str) -> None:
    answer = alice.patch(ME, json={"name": "Alice King"}, headers={"Content-Type": media_type})

    assert 200 == answer.status_code
    assert "Alice King" == answer.json()["name"]
    assert answer.json() == alice.get(ME).json()


@pytest.mark.parametrize(
    "member", [{"role": "ADMIN"}, {"active": True}, {"email": "a@b.cd"}, {"id": "x"}]
)
def test_nobody_raises_their_own_role_or_changes_what_is_not_theirs_to_change(
    alice: Client, member: dict[str, object]
) -> None:
    before = alice.get(ME).json()

    refused = assert_problem(
        alice.patch(ME, json={"name": "Eve", **member}), 400, "malformed_request"
    )

    (name,) = member
    assert [(f"/{name}", "unknown")] == [(one["pointer"], one["code"]) for one in refused["errors"]]
    assert before == alice.get(ME).json()


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ""}, {"name": "a\u0000b"}])
def test_a_name_is_needed(alice: Client, body: dict[str, object]) -> None:
    assert_problem(alice.patch(ME, json=body), 400, "malformed_request")


def test_nobody_in_particular_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.patch(ME, json={"name": "Eve"}), 401, "unauthenticated")
