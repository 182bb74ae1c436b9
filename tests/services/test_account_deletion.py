"""Deletions that race with other requests, and deletions of many orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.actor import ADMIN, Actor
from domain.errors import (
    CurrentPasswordWrong,
    Forbidden,
    OrdersInProgress,
    SessionExpired,
    TooManyAttempts,
)
from domain.mail import KINDS
from services import (
    account_deletion,
    account_tokens,
    orders,
    password_changes,
    process,
    sessions,
    users,
)
from services.account_deletion import AccountDeletion, delete_me, delete_user
from tests.support.concurrency import Blocker, run_concurrently
from tests.support.database import Sql
from tests.support.services import PASSWORD, AddProduct, make_actor

pytestmark = pytest.mark.usefixtures("audit_after_test")

ROUNDS = 60


@pytest.fixture
def place(client: Actor, add_product: AddProduct) -> Callable[[], Any]:
    mug = add_product(1000)
    return lambda: orders.create_order(
        actor=client, items=[(mug.id, 1)], idempotency_key=None, note="Ring twice."
    )


def delete(actor: Actor) -> AccountDeletion:
    return delete_me(actor=actor, current_password=PASSWORD)


def test_of_a_deletion_and_an_order_at_once_one_is_refused_in_60_rounds(
    new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
):
    mug = add_product(1000)
    deleted = 0
    for _ in range(ROUNDS):
        client = new_client()
        ordered, deletion = run_concurrently(
            lambda client=client: orders.create_order(
                actor=client, items=[(mug.id, 1)], idempotency_key="key"
            ),
            lambda client=client: delete(client),
        )

        if isinstance(deletion, AccountDeletion):
            deleted += 1
            assert isinstance(ordered, SessionExpired)
        else:
            assert isinstance(deletion, OrdersInProgress)
            assert ordered.order.user_id == client.user_id

    assert sql("SELECT count(*) FROM users WHERE deleted_at IS NOT NULL") == [(deleted,)]
    assert sql(
        "SELECT count(*) FROM orders JOIN users ON users.id = user_id WHERE deleted_at IS NOT NULL"
    ) == [(0,)]


def test_an_order_that_waits_for_a_deletion_is_refused_and_locks_no_stock(
    client: Actor, place: Callable[[], Any], blocker: Blocker, sql: Sql
):
    blocker.execute("SELECT FROM users WHERE id = %s FOR UPDATE", client.user_id)
    blocker.execute(
        "UPDATE users SET active = false, deleted_at = now() WHERE id = %s", client.user_id
    )

    def end() -> list[tuple[Any, ...]]:
        blocker.wait_for_waiting()
        unlocked = sql("SELECT quantity FROM stock FOR UPDATE SKIP LOCKED")
        blocker.commit()
        return unlocked

    outcome, unlocked = run_concurrently(place, end)

    assert isinstance(outcome, SessionExpired)
    assert unlocked == [(1000,)]


def test_a_deletion_waits_for_an_order_that_is_being_placed(
    client: Actor, place: Callable[[], Any], blocker: Blocker
):
    blocker.execute("SELECT FROM stock FOR UPDATE")

    def delete_while_the_order_waits() -> AccountDeletion:
        blocker.wait_for_waiting(1)
        return delete(client)

    def end() -> None:
        blocker.wait_for_waiting(2)
        blocker.commit()

    placed, outcome, _ = run_concurrently(place, delete_while_the_order_waits, end)

    assert isinstance(outcome, OrdersInProgress)
    assert outcome.order_numbers == [placed.order.number]


def test_of_two_deletions_at_once_one_succeeds(client: Actor, sql: Sql):
    outcomes = run_concurrently(lambda: delete(client), lambda: delete(client))

    assert {AccountDeletion, SessionExpired} == {type(outcome) for outcome in outcomes}
    events = sql("SELECT count(*) FROM security_event WHERE type = 'USER_DELETED'")
    assert events == [(1,)]


def test_of_two_administrators_who_leave_at_once_one_stays(admin: Actor, sql: Sql):
    other = users.create_admin(email="other@example.com", name="Other", password=PASSWORD)

    run_concurrently(lambda: delete(admin), lambda: delete(make_actor(other.id, ADMIN)))

    assert sql("SELECT count(*) FROM users WHERE active") == [(1,)]


def test_administrators_who_delete_each_other_at_once_leave_one(admin: Actor, sql: Sql):
    other = users.create_admin(email="other@example.com", name="Other", password=PASSWORD)
    second = make_actor(other.id, ADMIN)
    assert admin.user_id is not None

    outcomes = run_concurrently(
        lambda: delete_user(actor=admin, user_id=other.id, current_password=PASSWORD),
        lambda: delete_user(actor=second, user_id=admin.user_id, current_password=PASSWORD),
    )

    assert {AccountDeletion} < {type(outcome) for outcome in outcomes}
    assert sql("SELECT count(*) FROM users WHERE active") == [(1,)]


def test_a_user_who_is_promoted_during_the_deletion_stays(
    client: Actor, admin: Actor, blocker: Blocker
):
    del admin
    blocker.execute("UPDATE users SET role = 'ADMIN' WHERE id = %s", client.user_id)

    def end() -> None:
        blocker.wait_for_waiting()
        blocker.commit()

    outcome, _ = run_concurrently(lambda: delete(client), end)

    assert isinstance(outcome, SessionExpired)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("active = false", SessionExpired),
        ("password_version = password_version + 1", CurrentPasswordWrong),
    ],
)
def test_a_change_of_the_account_during_the_deletion_prevents_it(
    client: Actor, blocker: Blocker, change: str, error: type[Exception]
):
    blocker.execute(f"UPDATE users SET {change} WHERE id = %s", client.user_id)

    def end() -> None:
        blocker.wait_for_waiting()
        blocker.commit()

    outcome, _ = run_concurrently(lambda: delete(client), end)

    assert type(outcome) is error


def test_an_administrator_who_is_disabled_during_the_deletion_is_refused(
    client: Actor, admin: Actor, blocker: Blocker
):
    blocker.execute("UPDATE users SET active = false WHERE id = %s", admin.user_id)
    assert client.user_id is not None

    def end() -> None:
        blocker.wait_for_waiting()
        blocker.commit()

    outcome, _ = run_concurrently(
        lambda: delete_user(actor=admin, user_id=client.user_id, current_password=PASSWORD), end
    )

    assert isinstance(outcome, Forbidden)


def test_a_disabled_user_cannot_delete_the_account(client: Actor, sql: Sql):
    sql("UPDATE users SET active = false")

    with pytest.raises(SessionExpired):
        delete(client)


def test_other_requests_that_wait_for_a_deletion_are_refused(
    client: Actor, anonymous: Actor, blocker: Blocker
):
    sign_in = sessions.login(actor=anonymous, email="client0@example.com", password=PASSWORD)
    with_session = client._replace(session_id=sign_in.session.id)
    blocker.execute("SELECT FROM users WHERE id = %s FOR UPDATE", client.user_id)
    blocker.execute(
        "UPDATE users SET email = 'deleted@deleted.invalid', active = false, deleted_at = now(),"
        " password_hash = '', password_version = password_version + 1 WHERE id = %s",
        client.user_id,
    )
    assert client.user_id is not None

    def end() -> None:
        blocker.wait_for_waiting(4)
        blocker.commit()

    outcomes = run_concurrently(
        lambda: sessions.login(actor=anonymous, email="client0@example.com", password=PASSWORD),
        lambda: password_changes.change_password(
            actor=with_session, current_password=PASSWORD, new_password="seven quiet herons"
        ),
        lambda: users.update_me(actor=client, name="New name"),
        # What the worker does for a mail that it has composed before
        lambda: account_tokens.issue(
            "PASSWORD_RESET",
            user_id=client.user_id,
            email="client0@example.com",
            requested_at=sign_in.session.created_at,
        ),
        end,
    )

    assert ["InvalidCredentials", "CurrentPasswordWrong", "SessionExpired", "NoneType"] == [
        type(outcome).__name__ for outcome in outcomes[:4]
    ]


def test_many_orders_are_erased_in_batches(
    client: Actor, place: Callable[[], Any], sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(account_deletion, "_BATCH_ORDERS", 3)
    for _ in range(7):
        orders.cancel_order(
            actor=client,
            order_id=place().order.id,
            expected_versions=None,
            reason="Changed my mind.",
        )

    delete(client)

    assert sql("SELECT DISTINCT note, version FROM orders") == [(None, 3)]
    assert sql("SELECT count(*) FROM order_event_reason") == [(0,)]
    erased = sql("SELECT count(*) FROM order_event WHERE type = 'PERSONAL_DATA_ERASED'")
    assert erased == [(7,)]


@pytest.mark.parametrize(("is_active", "mails"), [(True, 1), (False, 0)])
def test_only_a_user_who_was_not_disabled_gets_a_last_mail(
    client: Actor, admin: Actor, sql: Sql, is_active: bool, mails: int
):
    process.bind(replace(process.configuration(), mail_kinds=frozenset(KINDS)))
    sql("UPDATE users SET active = %s WHERE id = %s", is_active, client.user_id)
    assert client.user_id is not None

    delete_user(actor=admin, user_id=client.user_id, current_password=PASSWORD)

    assert sql("SELECT count(*) FROM mail WHERE kind = 'ACCOUNT_DELETED'") == [(mails,)]


def test_the_current_password_cannot_be_guessed_by_deleting_the_account(client: Actor):
    process.bind(replace(process.configuration(), password_change_limit=3))

    for _ in range(3):
        with pytest.raises(CurrentPasswordWrong):
            delete_me(actor=client, current_password="not the password")

    with pytest.raises(TooManyAttempts):
        delete(client)
