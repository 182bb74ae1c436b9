"""POST /auth/password-resets/confirm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.accounts import PASSWORD
from tests.support.database import Sql
from tests.support.mail_shop import AUTH, ME, MailShop, token_in
from tests.support.problems import assert_problem

EMAIL = "ada@example.com"
NEW = "seven quiet herons at dusk"


@pytest.fixture
def token(mail_shop: MailShop) -> str:
    """Register Ada, and return the token of a mail to her."""
    mail_shop.register(EMAIL)
    return mail_shop.reset_token(EMAIL)


def test_the_new_password_signs_in_and_the_old_one_does_not(
    mail_shop: MailShop, token: str
) -> None:
    assert 204 == mail_shop.confirm_reset(token, NEW).status_code

    assert 200 == mail_shop.sign_in(EMAIL, NEW).status_code
    assert_problem(mail_shop.sign_in(EMAIL, PASSWORD), 401, "invalid_credentials")


def test_a_reset_ends_all_sessions(mail_shop: MailShop, token: str) -> None:
    headers = mail_shop.bearer(EMAIL)
    refresh_token = mail_shop.sign_in(EMAIL).json()["refresh_token"]

    mail_shop.confirm_reset(token, NEW)

    assert_problem(mail_shop.client.get(ME, headers=headers), 401, "invalid_token")
    response = mail_shop.client.post(f"{AUTH}/token", json={"refresh_token": refresh_token})
    assert_problem(response, 401, "session_expired")


def test_a_reset_verifies_the_address(mail_shop: MailShop, token: str) -> None:
    me = mail_shop.client.get(ME, headers=mail_shop.bearer(EMAIL)).json()
    assert me["email_verified"] is False

    mail_shop.confirm_reset(token, NEW)

    me = mail_shop.client.get(ME, headers=mail_shop.bearer(EMAIL, NEW)).json()
    assert me["email_verified"] is True


def test_the_user_gets_a_mail_about_the_change(mail_shop: MailShop, token: str) -> None:
    mail_shop.confirm_reset(token, NEW)

    (message,) = mail_shop.deliver()
    assert (EMAIL, "Your password was changed") == (message["To"], message["Subject"])
    assert NEW not in message.as_string()


def test_changing_the_password_sends_a_mail_too(mail_shop: MailShop) -> None:
    mail_shop.register(EMAIL)
    body = {"current_password": PASSWORD, "new_password": NEW}

    mail_shop.client.put(f"{AUTH}/password", json=body, headers=mail_shop.bearer(EMAIL))

    assert ["Your password was changed"] == [mail["Subject"] for mail in mail_shop.deliver()]


def test_a_reset_and_the_sessions_that_it_ends_are_in_the_security_log(
    mail_shop: MailShop, token: str, sql: Sql
) -> None:
    mail_shop.bearer(EMAIL)

    mail_shop.confirm_reset(token, NEW)

    rows = sql(
        "SELECT type, user_id = users.id, actor_user_id FROM security_event, users"
        " ORDER BY security_event.id DESC LIMIT 2"
    )
    assert {("PASSWORD_RESET", True, None), ("SESSION_REVOKED", True, None)} == set(rows)


def test_a_token_works_once(mail_shop: MailShop, token: str) -> None:
    mail_shop.confirm_reset(token, NEW)

    assert_problem(mail_shop.confirm_reset(token, PASSWORD), 409, "token_invalid")

    assert 200 == mail_shop.sign_in(EMAIL, NEW).status_code


def test_of_concurrent_confirmations_with_one_token_one_succeeds(
    mail_shop: MailShop, token: str
) -> None:
    passwords = [f"{number} quiet herons at dusk" for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda new: mail_shop.confirm_reset(token, new), passwords))

    assert [204] + [409] * 7 == sorted(response.status_code for response in responses)
    signed_in = [mail_shop.sign_in(EMAIL, password).is_success for password in passwords]
    assert [response.is_success for response in responses] == signed_in


def test_a_newer_mail_replaces_the_token_of_the_one_before(mail_shop: MailShop, token: str) -> None:
    newer = mail_shop.reset_token(EMAIL)

    assert_problem(mail_shop.confirm_reset(token, NEW), 409, "token_invalid")
    assert 204 == mail_shop.confirm_reset(newer, NEW).status_code


def test_of_two_mails_the_newer_one_is_valid_even_if_it_arrives_first(
    mail_shop: MailShop, sql: Sql
) -> None:
    mail_shop.register(EMAIL)
    mail_shop.request_reset(EMAIL)
    sql("UPDATE mail SET next_attempt_at = next_attempt_at + interval '1 minute'")  # greylisted
    newer = mail_shop.reset_token(EMAIL)
    sql("UPDATE mail SET next_attempt_at = now() WHERE outcome IS NULL")

    assert [] == mail_shop.deliver()

    assert 204 == mail_shop.confirm_reset(newer, NEW).status_code


def test_if_a_mail_is_sent_twice_the_links_of_both_copies_are_valid(
    mail_shop: MailShop, sql: Sql
) -> None:
    """A worker that is killed sends its mail again; a mail program may show either copy."""
    mail_shop.register(EMAIL)
    mail_shop.request_reset(EMAIL)
    details = sql("SELECT details::text FROM mail WHERE kind = 'PASSWORD_RESET'")
    (first,) = mail_shop.deliver()
    sql(
        "UPDATE mail SET outcome = NULL, done_at = NULL, next_attempt_at = now(), details = %s"
        " WHERE kind = 'PASSWORD_RESET'",
        *details[0],
    )
    (second,) = mail_shop.deliver()

    assert first["Message-ID"] == second["Message-ID"]
    assert token_in(first) != token_in(second)
    assert 204 == mail_shop.confirm_reset(token_in(first), NEW).status_code
    assert_problem(mail_shop.confirm_reset(token_in(second), NEW), 409, "token_invalid")


def test_the_token_of_another_user_does_not_change_my_password(
    mail_shop: MailShop, token: str
) -> None:
    mail_shop.register("bob@example.com")

    mail_shop.confirm_reset(token, NEW)

    assert 200 == mail_shop.sign_in("bob@example.com").status_code


def test_an_expired_token_is_refused(mail_shop: MailShop, token: str, sql: Sql) -> None:
    ((seconds,),) = sql(
        "SELECT date_part('epoch', expires_at - now()) FROM account_token"
        " WHERE kind = 'PASSWORD_RESET'"
    )
    assert 1790 < seconds <= 1800
    sql("UPDATE account_token SET expires_at = now()")

    assert_problem(mail_shop.confirm_reset(token, NEW), 409, "token_invalid")

    assert 200 == mail_shop.sign_in(EMAIL).status_code


def test_a_token_of_a_user_who_was_disabled_is_refused(
    mail_shop: MailShop, token: str, sql: Sql
) -> None:
    sql("UPDATE users SET active = false")

    assert_problem(mail_shop.confirm_reset(token, NEW), 409, "token_invalid")

    sql("UPDATE users SET active = true")
    assert 200 == mail_shop.sign_in(EMAIL).status_code


def test_a_refused_password_does_not_use_the_token(mail_shop: MailShop, token: str) -> None:
    for easy in ("password1234", EMAIL):
        assert_problem(mail_shop.confirm_reset(token, easy), 409, "password_rejected")

    assert 204 == mail_shop.confirm_reset(token, NEW).status_code


def test_a_changed_password_makes_earlier_tokens_invalid(mail_shop: MailShop, token: str) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    mail_shop.client.put(f"{AUTH}/password", json=body, headers=mail_shop.bearer(EMAIL))

    assert_problem(mail_shop.confirm_reset(token, PASSWORD), 409, "token_invalid")


@pytest.mark.parametrize("unknown", ["x" * 43, "A" * 256])
def test_an_unknown_token_is_refused(mail_shop: MailShop, unknown: str) -> None:
    assert_problem(mail_shop.confirm_reset(unknown, NEW), 409, "token_invalid")
