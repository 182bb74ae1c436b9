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


def test_registering_creates_an_active_customer(anonymous: Client) -> None:
    response = register(anonymous)

    assert 201 == response.status_code
    user = response.json()
    assert ("CLIENT", True, "Ada Lovelace") == (user["role"], user["active"], user["name"])
    assert "ada@example.com" == user["email"].lower()
    assert "password" not in response.text
    assert "set-cookie" not in response.headers


def test_an_email_in_use_is_rejected_whatever_its_case(anonymous: Client) -> None:
    register(anonymous)

    assert_problem(register(anonymous, email="ADA@example.COM"), 409, "email_taken")


def test_concurrent_registrations_of_one_email_create_one_account(anonymous: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: register(anonymous).status_code, range(8)))

    assert [201] + [409] * 7 == sorted(statuses)


def test_a_new_user_cannot_choose_a_role(anonymous: Client) -> None:
    errors = assert_problem(register(anonymous, role="ADMIN"), 400, "malformed_request")["errors"]

    assert [("/role", "unknown")] == [(error["pointer"], error["code"]) for error in errors]


@pytest.mark.parametrize("password", ["password1234", "qwertyuiop", "ada@example.com"])
def test_a_common_password_or_the_own_email_is_rejected(anonymous: Client, password: str) -> None:
    problem = assert_problem(register(anonymous, password=password), 409, "password_rejected")

    assert password not in str(problem)


@pytest.mark.parametrize(
    ("name", "value"),
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
def test_an_invalid_property_is_a_400_that_names_it(
    anonymous: Client, name: str, value: object
) -> None:
    errors = assert_problem(register(anonymous, **{name: value}), 400, "malformed_request")[
        "errors"
    ]

    assert {f"/{name}"} == {error["pointer"] for error in errors}
