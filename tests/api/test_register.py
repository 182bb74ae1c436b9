"""POST /auth/register."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.problems import assert_problem

ADA = {"email": "Ada@Example.com", "name": "Ada Lovelace", "password": PASSWORD}


def register(client: Client, **changes: object) -> object:
    return client.post("/api/v1/auth/register", json={**ADA, **changes})


def test_registering_makes_an_active_client(anonymous: Client) -> None:
    answer = register(anonymous)

    assert 201 == answer.status_code
    user = answer.json()
    assert ("CLIENT", True, "Ada Lovelace") == (user["role"], user["active"], user["name"])
    assert "ada@example.com" == user["email"].lower()
    assert "password" not in answer.text
    assert "set-cookie" not in answer.headers


def test_an_email_is_taken_whatever_its_case(anonymous: Client) -> None:
    register(anonymous)

    assert_problem(register(anonymous, email="ADA@example.COM"), 409, "email_taken")


def test_two_at_once_get_one_account(anonymous: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(anonymous).status_code, range(8)))

    assert [201] + [409] * 7 == sorted(answers)


def test_nobody_chooses_their_own_role(anonymous: Client) -> None:
    errors = assert_problem(register(anonymous, role="ADMIN"), 400, "malformed_request")["errors"]

    assert [("/role", "unknown")] == [(one["pointer"], one["code"]) for one in errors]


@pytest.mark.parametrize("password", ["password1234", "qwertyuiop", "ada@example.com"])
def test_a_common_password_or_the_email_itself_is_refused(anonymous: Client, password: str) -> None:
    refused = assert_problem(register(anonymous, password=password), 409, "password_rejected")

    assert password not in str(refused)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("email", "no-at-sign"),
        ("email", "a@b.c\n"),
        ("email", "a\u0000@example.com"),
        ("name", ""),
        ("name", "   "),
        ("name", "Ada\u0000"),
        ("name", None),
        ("password", "short"),
        ("password", "x" * 129),
        ("password", 1234567890),
    ],
)
def test_what_does_not_fit_is_named(anonymous: Client, member: str, value: object) -> None:
    errors = assert_problem(register(anonymous, **{member: value}), 400, "malformed_request")[
        "errors"
    ]

    assert {f"/{member}"} == {one["pointer"] for one in errors}
