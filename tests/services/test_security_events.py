"""The security log: what names a person can be erased, and the entries stay."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.actor import Actor
from services import security_events, sessions
from services.security_events import SecurityEvent
from tests.support.database import Sql
from tests.support.services import PASSWORD

WRONG_PASSWORD = "not the password"


def log(user_id: UUID | None = None) -> list[SecurityEvent]:
    return security_events.list_security_events(limit=100, user_id=user_id).items


def person(events: list[SecurityEvent]) -> set[tuple[str, str]]:
    return {(event.address, event.user_agent) for event in events}


@pytest.fixture
def user_id(client: Actor, admin: Actor, anonymous: Actor) -> UUID:
    """Return a user who has registered, signed in, failed to, and was changed by an admin."""
    assert client.user_id is not None
    sessions.login(actor=anonymous, email="client0@example.com", password=PASSWORD)
    with pytest.raises(sessions.InvalidCredentials):
        sessions.login(actor=anonymous, email="client0@example.com", password=WRONG_PASSWORD)
    security_events.append(security_events.USER_ENABLED, actor=admin, user_id=client.user_id)
    return client.user_id


def test_erasing_a_person_keeps_every_entry_without_address_and_user_agent(user_id: UUID):
    before = log(user_id)

    security_events.erase_person(user_id)

    after = log(user_id)
    assert [event.id for event in before] == [event.id for event in after]
    own = [event for event in after if event.actor_user_id in {None, user_id}]
    assert {("127.0.0.1", "Firefox")} == person(before)
    assert {("", "")} == person(own)
    assert {"REGISTERED", "SIGNED_IN", "SIGN_IN_FAILED"} <= {event.type for event in own}


def test_erasing_a_person_keeps_what_names_others(user_id: UUID, admin: Actor, anonymous: Actor):
    sessions.login(actor=anonymous, email="boss@example.com", password=PASSWORD)

    security_events.erase_person(user_id)

    by_admin = [event for event in log(user_id) if event.actor_user_id == admin.user_id]
    own = [event for event in log(admin.user_id) if event.type == security_events.SIGNED_IN]
    assert {("127.0.0.1", "Firefox")} == person(by_admin) == person(own)


def test_the_append_only_table_has_neither_address_nor_user_agent(user_id: UUID, sql: Sql):
    assert [("", "")] == sql("SELECT DISTINCT address, user_agent FROM security_event")


def test_an_entry_of_a_server_of_the_version_before_is_complete(sql: Sql):
    """During a rolling upgrade, servers of version 0.3 still write to these columns."""
    sql(
        "INSERT INTO security_event (id, type, address, user_agent, request_id, created_at)"
        " VALUES (gen_random_uuid(), 'SIGN_IN_FAILED', '203.0.113.7', 'Old', 'r', now())"
    )

    assert {("203.0.113.7", "Old")} == person(log())
