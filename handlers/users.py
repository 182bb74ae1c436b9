"""HTTP handlers of users."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import representations
from handlers.cookies import CLEAR_SITE_DATA, SessionCookies
from handlers.personal_data import as_json
from handlers.responses import BASE_PATH, Response
from services import account_deletion, email_addresses, personal_data, users
from services.personal_data import PersonalData
from services.process import configuration


def get_me(actor: Actor) -> Response:
    """Return the caller's own account."""
    return representations.user(users.get_me(actor=actor)), 200, {}


def update_me(actor: Actor, body: dict[str, Any]) -> Response:
    """Change the caller's own name."""
    return representations.user(users.update_me(actor=actor, name=body["name"])), 200, {}


def change_email(actor: Actor, body: dict[str, Any]) -> Response:
    """Request a change of the caller's own address."""
    request = email_addresses.change_email(
        actor=actor, email=body["email"], current_password=body["current_password"]
    )
    return representations.mail_request(request), 202, {}


def delete_me(actor: Actor, body: dict[str, Any]) -> Response:
    """Delete the caller's own account; clear cookies, cache and storage."""
    deletion = account_deletion.delete_me(actor=actor, current_password=body["current_password"])
    cookies = SessionCookies(configuration().cookie_secure)
    headers = {"Set-Cookie": cookies.clear(), **CLEAR_SITE_DATA}
    return representations.account_deletion(deletion), 202, headers


def export_me(actor: Actor) -> Response:
    """Return everything about the caller as a JSON stream."""
    return _download(personal_data.export_me(actor=actor))


def list_users(
    limit: int,
    sort: str,
    cursor: str | None = None,
    q: str | None = None,
    role: str | None = None,
    active: bool | None = None,
) -> Response:
    """Return a page of users."""
    query: dict[str, Any] = {"limit": limit, "sort": sort, "q": q, "role": role, "active": active}
    page = users.list_users(cursor=cursor, **query)
    body, link = representations.page(page, representations.user, f"{BASE_PATH}/users", query)
    return body, 200, link


def get_user(user_id: UUID) -> Response:
    """Return one user."""
    return representations.user(users.get_user(user_id=user_id)), 200, {}


def update_user(actor: Actor, user_id: UUID, body: dict[str, Any]) -> Response:
    """Change a user's role, or disable or enable the user."""
    row = users.update_user(
        actor=actor, user_id=user_id, role=body.get("role"), active=body.get("active")
    )
    return representations.user(row), 200, {}


def delete_user(actor: Actor, user_id: UUID, body: dict[str, Any]) -> Response:
    """Delete a user's account."""
    deletion = account_deletion.delete_user(
        actor=actor, user_id=user_id, current_password=body["current_password"]
    )
    return representations.account_deletion(deletion), 202, {}


def export_user(actor: Actor, user_id: UUID) -> Response:
    """Return everything about a user as a JSON stream."""
    return _download(personal_data.export_user(actor=actor, user_id=user_id))


def _download(data: PersonalData) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="personal-data.json"',
    }
    return as_json(data), 200, headers
