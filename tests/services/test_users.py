"""Accounts: one per email, each with a password worth the name."""

from __future__ import annotations

from collections import Counter

import pytest

from domain.actor import Actor
from domain.errors import EmailTaken, PasswordRejected, SessionExpired
from services import users
from tests.support.concurrency import run_concurrently
from tests.support.services import PASSWORD, make_actor


def register(anonymous: Actor, **facts: str) -> users.User:
    defaults = {"email": "ada@example.com", "name": "Ada Lovelace", "password": PASSWORD}
    return users.register(actor=anonymous, **(defaults | facts))


def test_whoever_registers_is_an_active_client(anonymous: Actor):
    user = register(anonymous, email="Ada@Example.com")

    assert ("ada@example.com", "Ada Lovelace", "CLIENT", True) == (
        user.email,
        user.name,
        user.role,
        user.active,
    )
    assert user == users.get_me(actor=make_actor(user.id, user.role))


def test_an_administrator_is_made_on_purpose():
    user = users.create_admin(email="boss@example.com", name="Boss", password=PASSWORD)

    assert user.role == "ADMIN"


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com"])
def test_an_email_is_registered_once(anonymous: Actor, email: str):
    register(anonymous)

    with pytest.raises(EmailTaken):
        register(anonymous, email=email)
    with pytest.raises(EmailTaken):
        users.create_admin(email=email, name="Boss", password=PASSWORD)


def test_of_many_who_register_one_email_at_once_one_gets_it(anonymous: Actor):
    outcomes = run_concurrently(*[lambda: register(anonymous)] * 10)

    assert Counter(map(type, outcomes)) == {users.User: 1, EmailTaken: 9}


@pytest.mark.parametrize(
    "password",
    [
        "ada@example.com",
        "ADA@EXAMPLE.COM",
        "Ada Lovelace",
        "password12",
        "1234567890",
        "qwertyuiop",
        "aaaaaaaaaaaaaaaa",
        "iloveyou2024",
        "a" * 128,
    ],
)
def test_passwords_that_are_soon_guessed_are_refused(anonymous: Actor, password: str):
    with pytest.raises(PasswordRejected):
        register(anonymous, password=password)


@pytest.mark.parametrize(
    "password",
    [
        "blackberry strudel",
        "Xk9#mQ2$vL",
        "\u6f22\u5b57\u4eee\u540d\u4ea4\u3058\u308a\u6587\u3067\u3059",
        "x7" * 20 + "!pQ9 zebra" * 8,
    ],
)
def test_other_passwords_of_any_script_and_length_are_taken(anonymous: Actor, password: str):
    register(anonymous, password=password)


def test_an_account_that_is_gone_is_a_session_that_is_over(anonymous: Actor):
    with pytest.raises(SessionExpired):
        users.get_me(actor=anonymous)
