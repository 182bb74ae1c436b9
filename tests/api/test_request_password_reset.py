"""POST /auth/password-resets."""

from __future__ import annotations

import httpx2

from services import users
from tests.support.accounts import ADMIN
from tests.support.database import Sql
from tests.support.mail_shop import MailShop, link_in, text_of

EMAIL = "ada@example.com"


def without_request_id(response: httpx2.Response) -> tuple[int, str, set[str]]:
    return response.status_code, response.text, set(response.headers)


def test_a_registered_user_gets_a_link_to_the_page_in_the_settings(mail_shop: MailShop) -> None:
    mail_shop.register(EMAIL)

    response = mail_shop.request_reset("ADA@example.com")

    assert 202 == response.status_code
    assert {"email": EMAIL, "valid_seconds": 1800} == response.json()
    (message,) = mail_shop.deliver()
    assert EMAIL == message["To"]
    assert "Set a new password" == message["Subject"]
    assert link_in(message).startswith("https://shop.example.com/#reset-password=")


def test_an_unknown_email_gets_the_same_response_and_no_mail(mail_shop: MailShop) -> None:
    mail_shop.register(EMAIL)

    known, unknown = mail_shop.request_reset(EMAIL), mail_shop.request_reset("eve@example.com")

    assert [EMAIL] == [message["To"] for message in mail_shop.deliver()]
    known_status, known_body, known_headers = without_request_id(known)
    status, body, headers = without_request_id(unknown)
    assert (known_status, known_headers) == (status, headers)
    assert known_body.replace(EMAIL, "eve@example.com") == body


def test_the_outbox_keeps_no_address_after_the_mail_is_done(mail_shop: MailShop, sql: Sql) -> None:
    for email in (EMAIL, "eve@example.com"):
        mail_shop.request_reset(email)
    mail_shop.deliver()

    rows = sql("SELECT outcome, mail::text FROM mail")
    assert ["NOT_NEEDED", "NOT_NEEDED"] == [outcome for outcome, _ in rows]
    assert not any("example.com" in row for _, row in rows)


def test_no_token_is_stored_in_plain_text(mail_shop: MailShop, sql: Sql) -> None:
    mail_shop.register(EMAIL)
    mail_shop.request_reset(EMAIL)
    ((stored,),) = sql("SELECT mail::text FROM mail WHERE kind = 'PASSWORD_RESET'")
    assert "token" not in stored

    token = link_in(mail_shop.deliver()[0]).rpartition("=")[2]

    assert 43 == len(token)  # 256 bits in base64
    for (row,) in sql("SELECT account_token::text FROM account_token"):
        assert token not in row
    assert not any(token in row for (row,) in sql("SELECT mail::text FROM mail"))


def test_a_disabled_user_gets_no_mail(mail_shop: MailShop, sql: Sql) -> None:
    mail_shop.register(EMAIL)
    sql("UPDATE users SET active = false")

    assert 202 == mail_shop.request_reset(EMAIL).status_code

    assert [] == mail_shop.deliver()


def test_a_user_who_is_disabled_before_the_mail_is_sent_gets_none(
    mail_shop: MailShop, sql: Sql
) -> None:
    mail_shop.register(EMAIL)
    mail_shop.request_reset(EMAIL)
    sql("UPDATE users SET active = false")

    assert [] == mail_shop.deliver()


def test_a_link_never_leads_to_the_host_of_the_request(mail_shop: MailShop) -> None:
    mail_shop.register(EMAIL)

    mail_shop.request_reset(
        EMAIL, **{"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": "null"}
    )

    (message,) = mail_shop.deliver()
    assert "evil.example" not in message.as_string()
    assert link_in(message).startswith("https://shop.example.com/")


def test_a_name_cannot_put_headers_or_text_into_the_mail(mail_shop: MailShop, sql: Sql) -> None:
    """The contract refuses line breaks in names; this one is past the contract."""
    mail_shop.register(EMAIL, name="[win](https://evil.example)")
    sql("UPDATE users SET name = %s", "Ada\r\nBcc: eve@example.com\r\n\r\nhttps://evil.example")
    mail_shop.request_reset(EMAIL)

    (message,) = mail_shop.deliver()

    assert message["Bcc"] is None
    assert [EMAIL] == mail_shop.smtp.recipients[-1:]
    assert "evil.example" not in text_of(message)
    assert "Ada" not in text_of(message)


def test_a_mail_that_waits_for_longer_than_its_link_is_valid_is_not_sent(
    mail_shop: MailShop, sql: Sql
) -> None:
    mail_shop.register(EMAIL)
    mail_shop.request_reset(EMAIL)
    sql("UPDATE mail SET expires_at = expires_at - interval '30 minutes'")

    assert [] == mail_shop.deliver()

    assert [("EXPIRED",)] == sql("SELECT outcome FROM mail WHERE kind = 'PASSWORD_RESET'")


def test_an_administrator_can_reset_the_password_too(mail_shop: MailShop) -> None:
    email, password = ADMIN
    users.create_admin(email=email, name="Grace", password=password)

    assert mail_shop.reset_token(email)
