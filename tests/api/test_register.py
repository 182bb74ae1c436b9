"""POST /auth/register."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.conftest import PASSWORD, Client
from tests.api.problems import problem

ADA = {"email": "Ada@Example.com", "name": "Ada Lovelace", "password": PASSWORD}


def register(client: Client, **changes: object) -> object:
    return client.post("/api/v1/auth/register", json={**ADA, **changes})


def test_registering_makes_an_active_client(anyone: Client) -> None:
    answer = register(anyone)

    assert 201 == answer.status_code
    user = answer.json()
    assert ("CLIENT", True, "Ada Lovelace") == (user["role"], user["active"], user["name"])
    assert "ada@example.com" == user["email"].lower()
    assert "password" not in answer.text
    assert "set-cookie" not in answer.headers


def test_an_email_is_taken_whatever_its_case(anyone: Client) -> None:
    register(anyone)

    problem(register(anyone, email="ADA@example.COM"), 409, "email_taken")


def test_two_at_once_get_one_account(anyone: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(anyone).status_code, range(8)))

    assert [201] + [409] * 7 == sorted(answers)


def test_nobody_chooses_their_own_role(anyone: Client) -> None:
    errors = problem(register(anyone, role="ADMIN"), 400, "malformed_request")["errors"]

    assert [("/role", "unknown")] == [(one["pointer"], one["code"]) for one in errors]


@pytest.mark.parametrize("password", ["password1234", "qwertyuiop", "ada@example.com"])
def test_a_common_password_or_the_email_itself_is_refused(anyone: Client, password: str) -> None:
    refused = problem(register(anyone, password=password), 409, "password_rejected")

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
def test_what_does_not_fit_is_named(anyone: Client, member: str, value: object) -> None:
    errors = problem(register(anyone, **{member: value}), 400, "malformed_request")["errors"]

    assert {f"/{member}"} == {one["pointer"] for one in errors}
