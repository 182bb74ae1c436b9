"""People and their accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import representations
from services import users

Answer = tuple[Any, int, dict[str, Any]]


def get_me(actor: Actor) -> Answer:
    """Answer the account of the one who asks."""
    return representations.user(users.get_me(actor=actor)), 200, {}


def update_me(actor: Actor, body: dict[str, Any]) -> Answer:
    """Change what the one who asks is called."""
    return representations.user(users.update_me(actor=actor, name=body["name"])), 200, {}


def list_users(
    limit: int,
    sort: str,
    cursor: str | None = None,
    q: str | None = None,
    role: str | None = None,
    active: bool | None = None,
) -> Answer:
    """Answer one page of those who have registered."""
    query: dict[str, Any] = {"limit": limit, "sort": sort, "q": q, "role": role, "active": active}
    page = users.list_users(cursor=cursor, **query)
    body, link = representations.page(page, representations.user, "/api/v1/users", query)
    return body, 200, link


def get_user(user_id: UUID) -> Answer:
    """Answer one account."""
    return representations.user(users.get_user(user_id=user_id)), 200, {}


def update_user(actor: Actor, user_id: UUID, body: dict[str, Any]) -> Answer:
    """Promote, demote, disable or enable somebody."""
    row = users.update_user(
        actor=actor, user_id=user_id, role=body.get("role"), active=body.get("active")
    )
    return representations.user(row), 200, {}
