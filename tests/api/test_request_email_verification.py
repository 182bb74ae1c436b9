"""POST /auth/email-verifications."""

from __future__ import annotations

import pytest

from tests.support.database import Sql
from tests.support.mail_shop import AUTH, MailShop, link_in, text_of
from tests.support.problems import assert_problem

EMAIL = "ada@example.com"
PATH = f"{AUTH}/email-verifications"


def test_a_new_user_gets_a_link_without_a_request(mail_shop: MailShop) -> None:
    (message,) = mail_shop.register(EMAIL)

    assert (EMAIL, "Confirm your email address") == (message["To"], message["Subject"])
    assert link_in(message).startswith("https://shop.example.com/#verify-email=")


def test_the_mail_does_not_contain_the_name_that_the_user_has_chosen(mail_shop: MailShop) -> None:
    """Somebody could register another person's address, with a text as the name."""
    (message,) = mail_shop.register(EMAIL, name="You won: https://evil.example")

    assert "evil.example" not in message.as_string() + text_of(message)


def test_a_user_can_request_another_link(mail_shop: MailShop) -> None:
    mail_shop.register(EMAIL)

    response = mail_shop.client.post(PATH, headers=mail_shop.bearer(EMAIL))

    assert 202 == response.status_code
    assert {"email": EMAIL, "valid_seconds": 86400} == response.json()
    assert ["Confirm your email address"] == [mail["Subject"] for mail in mail_shop.deliver()]


@pytest.mark.parametrize("change", ["email_verified = true", "active = false"])
def test_a_verified_or_disabled_user_gets_no_mail(
    mail_shop: MailShop, sql: Sql, change: str
) -> None:
    mail_shop.register(EMAIL)
    mail_shop.client.post(PATH, headers=mail_shop.bearer(EMAIL))
    sql(f"UPDATE users SET {change}")

    assert [] == mail_shop.deliver()


def test_an_anonymous_request_is_401(mail_shop: MailShop) -> None:
    assert_problem(mail_shop.client.post(PATH), 401, "unauthenticated")
