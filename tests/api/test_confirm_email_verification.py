"""POST /auth/email-verifications/confirm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.database import Sql
from tests.support.mail_shop import ME, MailShop, token_in
from tests.support.problems import assert_problem

EMAIL = "ada@example.com"


@pytest.fixture
def token(mail_shop: MailShop) -> str:
    """Register Ada, and return the token of the mail to her."""
    (message,) = mail_shop.register(EMAIL)
    return token_in(message)


def me(mail_shop: MailShop) -> Any:
    return mail_shop.client.get(ME, headers=mail_shop.bearer(EMAIL)).json()


def test_the_link_verifies_the_address(mail_shop: MailShop, token: str, sql: Sql) -> None:
    assert me(mail_shop)["email_verified"] is False

    assert 204 == mail_shop.confirm_email(token).status_code

    assert me(mail_shop)["email_verified"] is True
    events = sql("SELECT user_id = users.id FROM security_event, users WHERE type='EMAIL_VERIFIED'")
    assert [(True,)] == events


def test_verifying_does_not_end_sessions(mail_shop: MailShop, token: str) -> None:
    headers = mail_shop.bearer(EMAIL)

    mail_shop.confirm_email(token)

    assert 200 == mail_shop.client.get(ME, headers=headers).status_code


def test_a_token_works_once(mail_shop: MailShop, token: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: mail_shop.confirm_email(token).status_code, range(4)))

    assert [204, 409, 409, 409] == sorted(statuses)
    assert_problem(mail_shop.confirm_email(token), 409, "token_invalid")


def test_a_token_of_a_password_reset_verifies_nothing(mail_shop: MailShop, token: str) -> None:
    assert_problem(mail_shop.confirm_email(mail_shop.reset_token(EMAIL)), 409, "token_invalid")
    assert_problem(mail_shop.confirm_reset(token, "seven quiet herons"), 409, "token_invalid")


def test_the_token_of_another_user_does_not_verify_my_address(
    mail_shop: MailShop, token: str
) -> None:
    mail_shop.register("bob@example.com")

    mail_shop.confirm_email(token)

    headers = mail_shop.bearer("bob@example.com")
    assert mail_shop.client.get(ME, headers=headers).json()["email_verified"] is False


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account_token SET expires_at = now()",
        "UPDATE users SET active = false",
        "UPDATE users SET email = 'countess@example.com'",  # the mail went to the previous one
    ],
)
def test_an_expired_token_or_one_of_a_disabled_user_or_previous_address_is_refused(
    mail_shop: MailShop, token: str, sql: Sql, change: str
) -> None:
    ((seconds,),) = sql("SELECT date_part('epoch', expires_at - now()) FROM account_token")
    assert 24 * 3600 - 60 < seconds <= 24 * 3600
    sql(change)

    assert_problem(mail_shop.confirm_email(token), 409, "token_invalid")

    assert [(False,)] == sql("SELECT email_verified FROM users")
