"""POST /auth/register in a shop that requires verified addresses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from httpx2 import Client, Response

from tests.support.accounts import PASSWORD
from tests.support.database import Sql
from tests.support.mail_shop import AUTH, ME, MailShop, text_of, token_in
from tests.support.problems import assert_problem
from tests.support.shop import add_product

EMAIL = "ada@example.com"
OTHER_PASSWORD = "seven quiet herons at dusk"


def register(shop: MailShop, email: str = EMAIL, **changes: str) -> Response:
    body = {"email": email, "name": "Ada", "password": PASSWORD, **changes}
    return shop.client.post(f"{AUTH}/register", json=body)


def test_a_new_user_can_sign_in_after_the_link_was_used(strict_shop: MailShop) -> None:
    response = register(strict_shop)

    assert 202 == response.status_code
    assert {"email": EMAIL, "valid_seconds": 86400} == response.json()
    (message,) = strict_shop.deliver()
    assert_problem(strict_shop.sign_in(EMAIL), 401, "invalid_credentials")

    assert 204 == strict_shop.confirm_email(token_in(message)).status_code

    me = strict_shop.client.get(ME, headers=strict_shop.bearer(EMAIL)).json()
    assert (EMAIL, True) == (me["email"], me["email_verified"])


def test_the_response_does_not_reveal_a_registered_address(strict_shop: MailShop) -> None:
    register(strict_shop)
    strict_shop.deliver()

    known, unknown = register(strict_shop, EMAIL.upper()), register(strict_shop, "eve@example.com")

    assert (known.status_code, known.text.replace("ada@", "eve@"), set(known.headers)) == (
        unknown.status_code,
        unknown.text,
        set(unknown.headers),
    )
    assert {
        EMAIL: "You already have an account",
        "eve@example.com": "Confirm your email address",
    } == {message["To"]: message["Subject"] for message in strict_shop.deliver()}


def test_signing_in_with_the_new_password_does_not_reveal_a_registered_address(
    strict_shop: MailShop,
) -> None:
    """Whoever registers an address could try whether the chosen password works then."""
    register(strict_shop)
    (message,) = strict_shop.deliver()
    strict_shop.confirm_email(token_in(message))
    for email in (EMAIL, "eve@example.com"):
        register(strict_shop, email, password=OTHER_PASSWORD)

    known, unknown = (
        strict_shop.sign_in(email, OTHER_PASSWORD) for email in (EMAIL, "eve@example.com")
    )

    for response in (known, unknown):
        assert_problem(response, 401, "invalid_credentials")
    assert known.json()["detail"] == unknown.json()["detail"]


def test_registering_again_changes_neither_name_nor_password(
    strict_shop: MailShop, sql: Sql
) -> None:
    register(strict_shop)
    before = sql("SELECT * FROM users")
    (message,) = strict_shop.deliver()

    register(strict_shop, name="Eve", password=OTHER_PASSWORD)

    assert before == sql("SELECT * FROM users")
    strict_shop.confirm_email(token_in(message))
    assert strict_shop.sign_in(EMAIL, PASSWORD).is_success


def test_a_forgotten_password_opens_an_account_whose_first_mail_was_lost(
    strict_shop: MailShop,
) -> None:
    register(strict_shop)
    strict_shop.deliver()

    strict_shop.confirm_reset(strict_shop.reset_token(EMAIL), OTHER_PASSWORD)

    assert strict_shop.sign_in(EMAIL, OTHER_PASSWORD).is_success


def test_concurrent_registrations_of_one_address_create_one_account(
    strict_shop: MailShop, sql: Sql
) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: register(strict_shop).status_code, range(8)))

    assert [202] * 8 == statuses
    assert [("ALREADY_REGISTERED", 7), ("EMAIL_VERIFICATION", 1)] == sql(
        "SELECT kind, count(*) FROM mail GROUP BY kind ORDER BY kind"
    )


def test_neither_mail_contains_a_text_of_whoever_registers(strict_shop: MailShop) -> None:
    for _ in range(2):
        register(strict_shop, name="You won: https://evil.example")

    messages = strict_shop.deliver()
    assert 2 == len(messages)
    for message in messages:
        assert "evil.example" not in message.as_string() + text_of(message)


def test_a_disabled_user_gets_no_mail(strict_shop: MailShop, sql: Sql) -> None:
    register(strict_shop)
    strict_shop.deliver()
    sql("UPDATE users SET active = false")

    assert 202 == register(strict_shop).status_code

    assert [] == strict_shop.deliver()


def test_an_easily_guessed_password_is_refused_for_every_address(
    strict_shop: MailShop, sql: Sql
) -> None:
    register(strict_shop)

    for email in (EMAIL, "eve@example.com"):
        response = register(strict_shop, email, password="password1234")
        assert_problem(response, 409, "password_rejected")

    assert [("password_rejected",)] * 2 == sql(
        "SELECT detail FROM security_event WHERE type = 'REGISTRATION_REFUSED'"
    )


def test_both_outcomes_are_in_the_security_log(strict_shop: MailShop, sql: Sql) -> None:
    for _ in range(2):
        register(strict_shop)

    assert [("REGISTERED", None), ("REGISTRATION_REFUSED", "email_taken")] == sql(
        "SELECT type, detail FROM security_event ORDER BY id"
    )


def test_a_user_from_before_the_setting_can_sign_in_but_not_order_until_verified(
    mail_shop: MailShop, strict_shop: MailShop, admin: Client
) -> None:
    item = {"product_id": add_product(admin)["id"], "quantity": 1}
    mail_shop.register(EMAIL)
    headers = strict_shop.bearer(EMAIL)
    order = {"items": [item]}

    response = strict_shop.client.post("/api/v1/orders", json=order, headers=headers)
    assert_problem(response, 403, "email_not_verified")

    strict_shop.client.post(f"{AUTH}/email-verifications", headers=headers)
    (message,) = strict_shop.deliver()
    strict_shop.confirm_email(token_in(message))
    response = strict_shop.client.post("/api/v1/orders", json=order, headers=headers)
    assert 201 == response.status_code
