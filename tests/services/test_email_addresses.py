"""Verified and changed addresses: rate limits, and orders that need a verified address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.actor import Actor
from domain.errors import CurrentPasswordWrong, EmailNotVerified, TooManyAttempts
from domain.mail import KINDS
from services import email_addresses, orders, process
from tests.support.database import Sql
from tests.support.services import PASSWORD, AddProduct

NEW = "countess@example.com"


def use(**fields: Any) -> None:
    """Change the configuration of this process."""
    process.bind(replace(process.configuration(), mail_kinds=frozenset(KINDS), **fields))


def change(actor: Actor, email: str, password: str = PASSWORD) -> None:
    email_addresses.change_email(actor=actor, email=email, current_password=password)


def test_a_user_cannot_request_mails_without_limit(client: Actor) -> None:
    use(account_mail_limit=2)
    for _ in range(2):
        email_addresses.request_email_verification(actor=client)

    with pytest.raises(TooManyAttempts, match="Too many attempts"):
        email_addresses.request_email_verification(actor=client)


def test_several_users_cannot_flood_one_new_address(
    new_client: Callable[[], Actor], sql: Sql
) -> None:
    users = [new_client() for _ in range(3)]
    use(account_mail_limit=2)
    for user in users[:2]:
        change(user, NEW)

    with pytest.raises(TooManyAttempts):
        change(users[2], NEW)

    assert [(2,)] == sql("SELECT count(*) FROM mail WHERE kind = 'EMAIL_CHANGE'")


def test_the_current_password_cannot_be_guessed_by_changing_the_address(client: Actor) -> None:
    use(password_change_limit=2)
    for _ in range(2):
        with pytest.raises(CurrentPasswordWrong):
            change(client, NEW, "not the password")

    with pytest.raises(TooManyAttempts) as error:
        change(client, NEW)

    assert "password_change" == error.value.policy


def test_a_correct_password_does_not_count_as_a_guess(client: Actor) -> None:
    use(password_change_limit=1)

    for number in range(3):
        change(client, f"{number}@example.com")


def test_a_shop_takes_orders_only_from_users_with_a_verified_address_if_it_requires_that(
    client: Actor, add_product: AddProduct, sql: Sql
) -> None:
    items = [(add_product().id, 1)]
    use(verified_email_required=True)

    with pytest.raises(EmailNotVerified):
        orders.create_order(actor=client, items=items, idempotency_key=None)

    sql("UPDATE users SET email_verified = true WHERE id = %s", str(client.user_id))
    orders.create_order(actor=client, items=items, idempotency_key=None)
