"""The security log: written beside what it tells of, read by administrators."""

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

__all__ = ["SecurityEvent", "list_security_events", "record"]

REGISTERED = "REGISTERED"
SIGNED_IN = "SIGNED_IN"
SIGN_IN_FAILED = "SIGN_IN_FAILED"
SIGNED_OUT = "SIGNED_OUT"
REFRESH_TOKEN_REUSED = "REFRESH_TOKEN_REUSED"  # noqa: S105  # what happened, no secret
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
    type: Sequence[str] | None = None,  # noqa: A002  # the operation's own word
    user_id: UUID | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
) -> Page[SecurityEvent]:
    """Return a page of the log; `created_to` is the first moment that is too late."""
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
def record(
    kind: str,
    *,
    actor: Actor,
    user_id: UUID | None,
    session_id: UUID | None = None,
    roles: tuple[str, str] | None = None,
) -> None:
    """Append an entry: who (`actor`) did what to whom (`user_id`).

    `roles` are those before and after. Joins the transaction of what it tells of.
    """
    from_role, to_role = roles or (None, None)
    security_event.RECORD.execute(
        event_id=uuid7(),
        type=kind,
        user_id=user_id,
        actor_user_id=actor.user_id,
        session_id=session_id,
        from_role=from_role,
        to_role=to_role,
        address=actor.kept_address,
        user_agent=actor.kept_user_agent,
        request_id=actor.request_id,
    )
