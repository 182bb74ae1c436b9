"""The security log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from handlers import representations
from services import security_events

Answer = tuple[Any, int, dict[str, Any]]


def list_security_events(
    limit: int,
    sort: str,
    cursor: str | None = None,
    type: list[str] | None = None,  # noqa: A002  # the operation's own word
    user_id: UUID | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
) -> Answer:
    """Answer one page of the log."""
    query: dict[str, Any] = {
        "limit": limit,
        "sort": sort,
        "type": type,
        "user_id": user_id,
        "created_from": created_from,
        "created_to": created_to,
    }
    page = security_events.list_security_events(cursor=cursor, **query)
    body, link = representations.page(
        page, representations.security_event, "/api/v1/security-events", query
    )
    return body, 200, link
