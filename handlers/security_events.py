"""HTTP handlers of the security log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from handlers import representations
from handlers.responses import BASE_PATH, Response
from services import security_events


def list_security_events(
    limit: int,
    sort: str,
    cursor: str | None = None,
    type: list[str] | None = None,  # noqa: A002  # the operation's parameter name
    user_id: UUID | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
) -> Response:
    """Return a page of the security log."""
    query: dict[str, Any] = {
        "limit": limit,
        "sort": sort,
        "type": type,
        "user_id": user_id,
        "created_from": created_from,
        "created_to": created_to,
    }
    page = security_events.list_security_events(cursor=cursor, **query)
    path = f"{BASE_PATH}/security-events"
    body, link = representations.page(page, representations.security_event, path, query)
    return body, 200, link
