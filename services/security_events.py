"""The security log: appended by the use cases that change security, read by administrators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import autocommit
from domain.actor import Actor
from domain.paging import Page
from models import security_event
from models.security_event import SecurityEvent

__all__ = ["SecurityEvent", "append", "append_revoked_sessions", "list_security_events"]

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
    user_id: UUID | None,
    session_id: UUID | None = None,
    roles: tuple[str, str] | None = None,
) -> None:
    """Append an entry: `actor` did this to the user with `user_id`.

    `roles` are the user's role before and after. Joins the transaction of the caller, if any.
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
        address=actor.stored_address,
        user_agent=actor.stored_user_agent,
        request_id=actor.request_id,
    )


def append_revoked_sessions(actor: Actor, user_id: UUID, session_ids: Sequence[UUID]) -> None:
    """Append an entry for each session of a user that `actor` has revoked."""
    for session_id in session_ids:
        append(SESSION_REVOKED, actor=actor, user_id=user_id, session_id=session_id)
