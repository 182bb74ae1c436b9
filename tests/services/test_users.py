"""Accounts: one for each email, with a password that is hard to guess."""

from __future__ import annotations

from collections import Counter

import pytest

from domain.actor import Actor
from domain.errors import EmailTaken, PasswordRejected, SessionExpired
from services import users
from tests.support.concurrency import run_concurrently
from tests.support.services import PASSWORD, make_actor


def register(anonymous: Actor, **fields: str) -> users.User:
    defaults = {"email": "ada@example.com", "name": "Ada Lovelace", "password": PASSWORD}
    return users.register(actor=anonymous, **(defaults | fields))


def test_a_new_user_is_an_active_customer(anonymous: Actor):
    user = register(anonymous, email="Ada@Example.com")

    assert ("ada@example.com", "Ada Lovelace", "CLIENT", True) == (
        user.email,
        user.name,
        user.role,
        user.active,
    )
    assert user == users.get_me(actor=make_actor(user.id, user.role))


def test_create_admin_creates_an_administrator():
    user = users.create_admin(email="boss@example.com", name="Boss", password=PASSWORD)

    assert user.role == "ADMIN"


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com"])
def test_an_email_can_be_registered_once(anonymous: Actor, email: str):
    register(anonymous)

    with pytest.raises(EmailTaken):
        register(anonymous, email=email)
    with pytest.raises(EmailTaken):
        users.create_admin(email=email, name="Boss", password=PASSWORD)


def test_of_concurrent_registrations_of_one_email_only_one_succeeds(anonymous: Actor):
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
def test_passwords_that_are_easy_to_guess_are_rejected(anonymous: Actor, password: str):
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
def test_other_passwords_of_any_script_and_length_are_accepted(anonymous: Actor, password: str):
    register(anonymous, password=password)


def test_an_actor_without_an_account_gets_session_expired(anonymous: Actor):
    with pytest.raises(SessionExpired):
        users.get_me(actor=anonymous)
