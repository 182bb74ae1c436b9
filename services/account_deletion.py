"""Deleting accounts: erases what names the person; orders, payments and logs keep ids.

The current password is required: somebody with a stolen session must not delete an account.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from database.transactions import autocommit_without_retry, transaction
from domain import mail as mail_kinds
from domain.actor import ADMIN, Actor
from domain.errors import (
    CurrentPasswordWrong,
    Forbidden,
    LastAdministrator,
    NotFound,
    OrdersInProgress,
    SessionExpired,
)
from models import erasure
from models import session as sessions
from models import user as users
from models.placement import uuid_array
from models.user import Credentials, User
from services import mails, passwords, revocation, security_events, throttling
from services.hashing_queue import Client
from services.throttling import CountedAttempt

# How many orders an error lists.
_MAX_LISTED_ORDERS = 10
# The orders that one statement changes: few enough to stay far below the time limit of a statement.
_BATCH_ORDERS = 500
_ERASED_NAME = "Deleted user"


class AccountDeletion(NamedTuple):
    """When a user was deleted."""

    user_id: UUID
    deleted_at: datetime


def delete_me(*, actor: Actor, current_password: str) -> AccountDeletion:
    """Delete the actor's own account, and end all sessions.

    Raises:
        CurrentPasswordWrong: `current_password` does not match.
        OrdersInProgress: orders, payments or refunds of the user are not finished.
        LastAdministrator: the shop would be left without an active administrator.
        SessionExpired: the account was deleted or disabled after the access token was issued.
        TooManyAttempts: from this network, or by this user.
    """
    assert actor.user_id is not None  # noqa: S101  # the operation requires a session
    return _delete_user(actor, actor.user_id, current_password)


def delete_user(*, actor: Actor, user_id: UUID, current_password: str) -> AccountDeletion:
    """Delete a user's account; `current_password` is the actor's. A deleted user stays as it is.

    Raises:
        NotFound: no user has this id.
        Forbidden: the actor is no longer an active administrator.
        And what `delete_me` raises.
    """
    return _delete_user(actor, user_id, current_password)


def _delete_user(actor: Actor, user_id: UUID, current_password: str) -> AccountDeletion:
    counted, credentials = _count(actor, user_id)
    _verify(actor, user_id, credentials, current_password, counted)
    deletion, revoked = _delete(actor=actor, credentials=credentials, user_id=user_id)
    revocation.add(revoked)
    throttling.refund(counted)
    return deletion


@autocommit_without_retry
def _count(actor: Actor, user_id: UUID) -> tuple[list[CountedAttempt], Credentials]:
    counted = throttling.count_password_change(actor)
    credentials = users.FIND_CREDENTIALS_BY_ID.one(user_id=actor.user_id)
    if credentials is None or not credentials.user.active:
        raise SessionExpired
    if users.FIND.one(user_id=user_id) is None:
        raise NotFound("user")
    return counted, credentials


def _verify(
    actor: Actor,
    user_id: UUID,
    credentials: Credentials,
    current_password: str,
    counted: list[CountedAttempt],
) -> None:
    client = Client(actor.network, credentials.user.email)
    with throttling.refund_if_unavailable(counted):
        matches = passwords.verify(current_password, credentials.password_hash, client).matches
    if not matches:
        security_events.append(
            security_events.USER_DELETION_FAILED,
            actor=actor,
            user_id=user_id,
            session_id=actor.session_id,
        )
        raise CurrentPasswordWrong


@transaction
def _delete(
    *, actor: Actor, credentials: Credentials, user_id: UUID
) -> tuple[AccountDeletion, list[UUID]]:
    """Delete the user; return the ids of the sessions that were revoked."""
    user, order_ids, administrators = _lock(credentials.user, user_id)
    _require_unchanged(credentials, is_own=actor.user_id == user_id)
    if actor.user_id != user_id and actor.user_id not in administrators:
        raise Forbidden
    if user.deleted_at is not None:
        return AccountDeletion(user_id, user.deleted_at), []
    if administrators == [user_id]:
        raise LastAdministrator
    in_progress = erasure.FIND_IN_PROGRESS.all(user_id=user_id, limit=_MAX_LISTED_ORDERS)
    if in_progress:
        raise OrdersInProgress(in_progress)
    revoked = _end_sessions(actor, user_id)
    for batch in _batches(order_ids):
        _erase_orders(actor, batch)
    return AccountDeletion(user_id, _erase_account(user)), revoked


def _lock(actor: User, user_id: UUID) -> tuple[User, list[UUID], list[UUID]]:
    """Lock the user with all orders; return both, and the active administrators.

    They are locked in this sequence: all administrators, the orders, the user. A transaction that
    changes an order locks the order before it locks its user by a foreign key.
    """
    administrators = users.FIND_ADMINISTRATORS_TO_CHANGE.all() if actor.role == ADMIN else []
    erasure.LOCK_ORDERS.all(user_id=user_id)
    user = users.FIND_TO_DELETE.one(user_id=user_id)
    assert user is not None  # noqa: S101  # users are never removed from the table
    if user.role == ADMIN and not administrators:  # promoted a moment ago, which ends all sessions
        raise SessionExpired
    # Again: orders may have been placed before the user was locked.
    return user, erasure.LOCK_ORDERS.all(user_id=user_id), administrators


def _require_unchanged(verified: Credentials, *, is_own: bool) -> None:
    """Check that the actor's account did not change while the password was being verified."""
    current = users.FIND_CREDENTIALS_BY_ID.one(user_id=verified.user.id)
    if current is None or not current.user.active:
        raise SessionExpired if is_own else Forbidden
    if current.password_version != verified.password_version:
        raise CurrentPasswordWrong


def _end_sessions(actor: Actor, user_id: UUID) -> list[UUID]:
    revoked = sessions.REVOKE_OTHERS.all(user_id=user_id, except_session_id=None)
    security_events.append_revoked_sessions(actor, user_id, revoked)
    security_events.append(security_events.USER_DELETED, actor=actor, user_id=user_id)
    return revoked


def _batches(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), _BATCH_ORDERS):
        yield ids[start : start + _BATCH_ORDERS]


def _erase_orders(actor: Actor, ids: Sequence[UUID]) -> None:
    order_ids = uuid_array(ids)
    erasure.ERASE_ORDERS.execute(
        order_ids=order_ids,
        event_ids=uuid_array(uuid7() for _ in ids),
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )
    erasure.DELETE_REASONS.execute(order_ids=order_ids)
    erasure.DELETE_CHANGES.execute(order_ids=order_ids)
    erasure.ERASE_PAYMENTS.execute(order_ids=order_ids)
    erasure.ERASE_REFUNDS.execute(order_ids=order_ids)
    erasure.ERASE_NOTIFICATIONS.execute(order_ids=order_ids)


def _erase_account(user: User) -> datetime:
    """Erase the account and everything else but the orders; return the time."""
    erasure.ERASE_WAITING_NOTIFICATIONS.execute(user_id=user.id)
    erasure.ERASE_SESSIONS.execute(user_id=user.id)
    erasure.DELETE_REFRESH_TOKENS.execute(user_id=user.id)
    erasure.DELETE_ACCOUNT_TOKENS.execute(user_id=user.id)
    erasure.DELETE_IDEMPOTENCY_KEYS.execute(user_id=user.id)
    erasure.DELETE_MAILS.execute(user_id=user.id, email=user.email)
    security_events.erase_person(user.id)
    if user.active:
        mails.enqueue(
            mail_kinds.ACCOUNT_DELETED,
            subject_id=user.id,
            user_id=user.id,
            recipient=user.email,  # erased when the mail is done
        )
    deleted_at = erasure.ERASE_USER.one(
        # Random: nobody can register it before.
        user_id=user.id,
        email=f"deleted-{uuid4()}@deleted.invalid",
        name=_ERASED_NAME,
    )
    assert deleted_at is not None  # noqa: S101  # the user's row is locked
    return deleted_at
