"""PATCH /users/me."""

from __future__ import annotations

import pytest
from httpx2 import Client

from tests.support.problems import assert_problem

ME = "/api/v1/users/me"


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_a_user_can_change_their_name(alice: Client, media_type: str) -> None:
    response = alice.patch(ME, json={"name": "Alice King"}, headers={"Content-Type": media_type})

    assert 200 == response.status_code
    assert "Alice King" == response.json()["name"]
    assert response.json() == alice.get(ME).json()


@pytest.mark.parametrize(
    "protected", [{"role": "ADMIN"}, {"active": True}, {"email": "a@b.cd"}, {"id": "x"}]
)
def test_a_user_cannot_change_their_role_or_other_protected_properties(
    alice: Client, protected: dict[str, object]
) -> None:
    before = alice.get(ME).json()

    problem = assert_problem(
        alice.patch(ME, json={"name": "Eve", **protected}), 400, "malformed_request"
    )

    (name,) = protected
    assert [(f"/{name}", "unknown")] == [
        (error["pointer"], error["code"]) for error in problem["errors"]
    ]
    assert before == alice.get(ME).json()


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ""}, {"name": "a\u0000b"}])
def test_the_body_must_have_a_valid_name(alice: Client, body: dict[str, object]) -> None:
    assert_problem(alice.patch(ME, json=body), 400, "malformed_request")


def test_an_anonymous_request_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.patch(ME, json={"name": "Eve"}), 401, "unauthenticated")
