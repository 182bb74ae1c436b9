"""Password resets: how many mails one address and one network can request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.actor import Actor
from domain.errors import TokenInvalid, TooManyAttempts
from domain.mail import KINDS
from services import housekeeping, password_resets, process
from tests.support.database import Sql
from tests.support.services import PASSWORD, make_actor

UNKNOWN = "eve@example.com"


@pytest.fixture(autouse=True)
def _low_limit(shop: str) -> None:
    del shop
    process.bind(
        replace(process.configuration(), account_mail_limit=2, mail_kinds=frozenset(KINDS))
    )


def request(email: str, address: str = "192.0.2.1") -> None:
    actor = make_actor(None, None)._replace(address=address)
    password_resets.request_password_reset(actor=actor, email=email)


@pytest.mark.parametrize("email", ["client0@example.com", UNKNOWN])
def test_an_address_cannot_be_flooded_from_many_networks(
    client: Actor, sql: Sql, email: str
) -> None:
    """The limit of a registered address is that of an unknown one, so it reveals nothing."""
    del client
    for number in range(2):
        request(email, f"192.0.2.{number}")

    with pytest.raises(TooManyAttempts) as error:
        request(email.upper(), "192.0.2.9")

    assert ("account_mail", 2, 3600) == (
        error.value.policy,
        error.value.quota,
        error.value.window_seconds,
    )
    assert [(2,)] == sql("SELECT count(*) FROM mail WHERE kind = 'PASSWORD_RESET'")


def test_a_network_cannot_request_mails_for_many_addresses() -> None:
    for number in range(20):
        request(f"client{number}@example.com")

    with pytest.raises(TooManyAttempts) as error:
        request(UNKNOWN)

    assert "account_mail_network" == error.value.policy
    request(UNKNOWN, "192.0.2.2")


def test_tokens_cannot_be_guessed_without_limit() -> None:
    process.bind(replace(process.configuration(), password_change_limit=1))
    actor = make_actor(None, None)

    with pytest.raises(TokenInvalid):
        password_resets.confirm_password_reset(actor=actor, token="x" * 43, new_password=PASSWORD)
    with pytest.raises(TooManyAttempts):
        password_resets.confirm_password_reset(actor=actor, token="y" * 43, new_password=PASSWORD)


def test_expired_tokens_are_deleted(client: Actor, sql: Sql) -> None:
    sql(
        "INSERT INTO account_token"
        " SELECT sha256(age::text::bytea), 'PASSWORD_RESET', %s, 'a@example.com', now(),"
        " now() - age * interval '1 minute' FROM unnest(ARRAY[-1, 1]) AS age",
        str(client.user_id),
    )

    housekeeping.delete_expired()

    assert [(True,)] == sql("SELECT expires_at > now() FROM account_token")
