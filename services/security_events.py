"""The security log: use cases append security events to it, and administrators read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit
from domain.actor import Actor
from domain.paging import Page
from models import security_event, throttle
from models.security_event import SecurityEvent
from services import process

__all__ = [
    "SecurityEvent",
    "append",
    "append_once",
    "append_revoked_sessions",
    "erase_person",
    "list_security_events",
]

# An event that a client can cause repeatedly is logged once in this time.
ONCE_IN_SECONDS = 600
_MAX_REMEMBERED = 4096

REGISTERED = "REGISTERED"
SIGNED_IN = "SIGNED_IN"
SIGN_IN_FAILED = "SIGN_IN_FAILED"
SIGNED_OUT = "SIGNED_OUT"
REFRESH_TOKEN_REUSED = "REFRESH_TOKEN_REUSED"  # noqa: S105  # the name of an event, not a secret
PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105
PASSWORD_CHANGE_FAILED = "PASSWORD_CHANGE_FAILED"  # noqa: S105
SESSION_REVOKED = "SESSION_REVOKED"
ROLE_CHANGED = "ROLE_CHANGED"
USER_DISABLED = "USER_DISABLED"
USER_ENABLED = "USER_ENABLED"
RATE_LIMITED = "RATE_LIMITED"
ACCESS_DENIED = "ACCESS_DENIED"
REGISTRATION_REFUSED = "REGISTRATION_REFUSED"
DATA_EXPORTED = "DATA_EXPORTED"
PRODUCTS_IMPORTED = "PRODUCTS_IMPORTED"
PRODUCT_CREATED = "PRODUCT_CREATED"
PRODUCT_UPDATED = "PRODUCT_UPDATED"
PRODUCT_ARCHIVED = "PRODUCT_ARCHIVED"
PRODUCT_RESTORED = "PRODUCT_RESTORED"
STOCK_ADJUSTED = "STOCK_ADJUSTED"
PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105
EMAIL_VERIFIED = "EMAIL_VERIFIED"
EMAIL_CHANGE_REQUESTED = "EMAIL_CHANGE_REQUESTED"
EMAIL_CHANGE_FAILED = "EMAIL_CHANGE_FAILED"
EMAIL_CHANGED = "EMAIL_CHANGED"
USER_DELETED = "USER_DELETED"
USER_DELETION_FAILED = "USER_DELETION_FAILED"

TYPES = (
    REGISTERED,
    SIGNED_IN,
    SIGN_IN_FAILED,
    SIGNED_OUT,
    REFRESH_TOKEN_REUSED,
    PASSWORD_CHANGED,
    PASSWORD_CHANGE_FAILED,
    SESSION_REVOKED,
    ROLE_CHANGED,
    USER_DISABLED,
    USER_ENABLED,
    RATE_LIMITED,
    ACCESS_DENIED,
    REGISTRATION_REFUSED,
    DATA_EXPORTED,
    PRODUCTS_IMPORTED,
    PRODUCT_CREATED,
    PRODUCT_UPDATED,
    PRODUCT_ARCHIVED,
    PRODUCT_RESTORED,
    STOCK_ADJUSTED,
    PASSWORD_RESET,
    EMAIL_VERIFIED,
    EMAIL_CHANGE_REQUESTED,
    EMAIL_CHANGE_FAILED,
    EMAIL_CHANGED,
    USER_DELETED,
    USER_DELETION_FAILED,
)


@autocommit
def list_security_events(
    *,
    limit: int,
    cursor: str | None = None,
    sort: str = "-created_at",
    type: Sequence[str] | None = None,  # noqa: A002  # the operation's parameter name
    user_id: UUID | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
) -> Page[SecurityEvent]:
    """Return a page of the log. `created_from` is included, `created_to` is not."""
    return security_event.LOG.page(
        sort=sort,
        limit=limit,
        cursor=cursor,
        types=list(type) if type else None,
        user_id=user_id,
        created_from=created_from,
        created_to=created_to,
    )


@autocommit
def append(
    event_type: str,
    *,
    actor: Actor,
    user_id: UUID | None = None,
    session_id: UUID | None = None,
    roles: tuple[str, str] | None = None,
    product_id: UUID | None = None,
    detail: str | None = None,
) -> None:
    """Append an entry: `actor` did this, to the user with `user_id` or to a product.

    `roles` are the user's role before and after. `detail` is never text that a client has sent.
    Joins the transaction of the caller, if any.
    """
    from_role, to_role = roles or (None, None)
    security_event.INSERT.execute(
        event_id=uuid7(),
        type=event_type,
        user_id=user_id,
        actor_user_id=actor.user_id,
        session_id=session_id,
        from_role=from_role,
        to_role=to_role,
        product_id=product_id,
        detail=detail,
        address=actor.stored_address,
        user_agent=actor.stored_user_agent,
        request_id=actor.request_id,
    )


def append_once(
    event_type: str, *, actor: Actor, subject: str, detail: str, seconds: int = ONCE_IN_SECONDS
) -> None:
    """Append an entry, unless one for the same subject was appended in the last `seconds`.

    So a client that repeats a refused request cannot flood the log. Each process remembers which
    entries it has appended, so that a repeated request needs no query.
    """
    key = f"{event_type} {subject}"
    appended, now = process.state().appended_events, time.monotonic()
    if appended.get(key, now) > now:
        return
    if len(appended) >= _MAX_REMEMBERED:
        appended.clear()
    appended[key] = now + seconds
    if _is_first(key, seconds):
        append(event_type, actor=actor, user_id=actor.user_id, detail=detail)


@autocommit
def _is_first(key: str, seconds: int) -> bool:
    """Return whether no other process has appended this entry, by a rate limit of one attempt."""
    digest = blake2b(key.encode(errors="replace"), digest_size=16).hexdigest()
    attempt = throttle.TAKE.one(bucket=f"log:{digest}", interval=seconds, window=seconds)
    return attempt is not None and attempt.allowed


def append_revoked_sessions(actor: Actor, user_id: UUID, session_ids: Sequence[UUID]) -> None:
    """Append an entry for each session of a user that `actor` has revoked."""
    for session_id in session_ids:
        append(SESSION_REVOKED, actor=actor, user_id=user_id, session_id=session_id)


@autocommit
def erase_person(user_id: UUID) -> None:
    """Erase the addresses and user agents of a person; the entries stay, with ids only.

    Joins the transaction of the caller, if any.
    """
    security_event.ERASE_PERSON.execute(user_id=user_id)
