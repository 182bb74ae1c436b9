"""PUT /users/me/email."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import PASSWORD
from tests.support.database import Sql
from tests.support.mail_shop import AUTH, ME, MailShop, link_in, text_of, token_in
from tests.support.problems import assert_problem

OLD, NEW = "ada@example.com", "countess@example.com"
NEW_PASSWORD = "seven quiet herons at dusk"


@pytest.fixture
def ada(mail_shop: MailShop) -> dict[str, str]:
    """Register Ada; return the header of her requests."""
    mail_shop.register(OLD)
    return mail_shop.bearer(OLD)


def change(mail_shop: MailShop, ada: dict[str, str], **changes: str) -> Any:
    body = {"email": NEW, "current_password": PASSWORD, **changes}
    return mail_shop.client.put(f"{ME}/email", json=body, headers=ada)


def requested_token(mail_shop: MailShop, ada: dict[str, str], email: str = NEW) -> str:
    """Request a change; return the token of the mail to the new address."""
    assert 202 == change(mail_shop, ada, email=email).status_code
    (message,) = [message for message in mail_shop.deliver() if message["To"] == email]
    return token_in(message)


def test_the_address_changes_when_the_new_one_is_confirmed(
    mail_shop: MailShop, ada: dict[str, str]
) -> None:
    response = change(mail_shop, ada, email="Countess@Example.com")

    assert 202 == response.status_code
    assert {"email": NEW, "valid_seconds": 86400} == response.json()
    mails = {message["To"]: message for message in mail_shop.deliver()}
    assert {OLD: "A new email address for your account", NEW: "Confirm your new email address"} == {
        to: message["Subject"] for to, message in mails.items()
    }
    assert link_in(mails[NEW]).startswith("https://shop.example.com/#verify-email=")
    assert 200 == mail_shop.sign_in(OLD).status_code

    assert 204 == mail_shop.confirm_email(token_in(mails[NEW])).status_code

    me = mail_shop.client.get(ME, headers=ada).json()
    assert (NEW, True) == (me["email"], me["email_verified"])
    assert 200 == mail_shop.sign_in(NEW).status_code
    assert_problem(mail_shop.sign_in(OLD), 401, "invalid_credentials")
    (notice,) = mail_shop.deliver()
    assert (OLD, "The email address of your account was changed") == (
        notice["To"],
        notice["Subject"],
    )


def test_the_notice_to_the_old_address_does_not_repeat_the_new_one(
    mail_shop: MailShop, ada: dict[str, str]
) -> None:
    change(mail_shop, ada, email="claim-your-prize@evil.example.com")

    (notice,) = [message for message in mail_shop.deliver() if message["To"] == OLD]
    assert "evil" not in notice.as_string() + text_of(notice)


def test_a_change_is_in_the_security_log(
    mail_shop: MailShop, ada: dict[str, str], sql: Sql
) -> None:
    change(mail_shop, ada, current_password="not the password")
    mail_shop.confirm_email(requested_token(mail_shop, ada))

    types = sql("SELECT type FROM security_event WHERE type LIKE 'EMAIL%' ORDER BY id")
    assert ["EMAIL_CHANGE_FAILED", "EMAIL_CHANGE_REQUESTED", "EMAIL_CHANGED"] == [
        kind for (kind,) in types
    ]


def test_the_current_password_is_required(mail_shop: MailShop, ada: dict[str, str]) -> None:
    response = change(mail_shop, ada, current_password="not the password")

    assert_problem(response, 409, "current_password_wrong")
    assert [] == mail_shop.deliver()


def test_the_response_does_not_reveal_that_another_user_has_the_address(
    mail_shop: MailShop, ada: dict[str, str]
) -> None:
    mail_shop.register("bob@example.com")

    taken = change(mail_shop, ada, email="bob@example.com")
    free = change(mail_shop, ada, email="eve@example.com")

    assert (taken.status_code, taken.text.replace("bob@", "eve@")) == (
        free.status_code,
        free.text,
    )


def test_an_address_that_another_user_has_by_now_is_refused_at_the_confirmation(
    mail_shop: MailShop, ada: dict[str, str]
) -> None:
    token = requested_token(mail_shop, ada)
    mail_shop.register(NEW)

    assert_problem(mail_shop.confirm_email(token), 409, "email_taken")

    assert OLD == mail_shop.client.get(ME, headers=ada).json()["email"]


def test_only_the_newest_request_counts(mail_shop: MailShop, ada: dict[str, str]) -> None:
    older = requested_token(mail_shop, ada)
    newer = requested_token(mail_shop, ada, "newer@example.com")

    assert_problem(mail_shop.confirm_email(older), 409, "token_invalid")
    assert 204 == mail_shop.confirm_email(newer).status_code


@pytest.mark.parametrize("is_delivered", [True, False])
def test_a_changed_password_cancels_the_change(
    mail_shop: MailShop, ada: dict[str, str], is_delivered: bool
) -> None:
    """Its owner changes the password when the notice says that somebody else has asked for it."""
    change(mail_shop, ada)
    mails = mail_shop.deliver() if is_delivered else []
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    response = mail_shop.client.put(f"{AUTH}/password", json=body, headers=ada)
    assert 200 == response.status_code

    mails += mail_shop.deliver()

    tokens = [token_in(message) for message in mails if message["To"] == NEW]
    assert is_delivered == bool(tokens)
    for token in tokens:
        assert_problem(mail_shop.confirm_email(token), 409, "token_invalid")


def test_a_password_reset_cancels_the_change(mail_shop: MailShop, ada: dict[str, str]) -> None:
    token = requested_token(mail_shop, ada)
    mail_shop.confirm_reset(mail_shop.reset_token(OLD), NEW_PASSWORD)

    assert_problem(mail_shop.confirm_email(token), 409, "token_invalid")


def test_a_reset_link_to_the_old_address_is_invalid_after_the_change(
    mail_shop: MailShop, ada: dict[str, str]
) -> None:
    reset_token = mail_shop.reset_token(OLD)
    mail_shop.confirm_email(requested_token(mail_shop, ada))

    assert_problem(mail_shop.confirm_reset(reset_token, NEW_PASSWORD), 409, "token_invalid")


def test_the_outbox_keeps_no_address_after_the_change(
    mail_shop: MailShop, ada: dict[str, str], sql: Sql
) -> None:
    mail_shop.confirm_email(requested_token(mail_shop, ada))
    mail_shop.deliver()

    assert not any("example.com" in row for (row,) in sql("SELECT mail::text FROM mail"))


def test_an_anonymous_request_is_401(mail_shop: MailShop) -> None:
    assert_problem(change(mail_shop, {}), 401, "unauthenticated")
