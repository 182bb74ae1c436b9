"""Signing up, in and out."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import representations
from handlers.cookies import SessionCookies
from services import sessions, users
from services.process import configuration

Answer = tuple[Any, int, dict[str, Any]]

_UNSTORED = {"Cache-Control": "no-store"}


def register(actor: Actor, body: dict[str, Any]) -> Answer:
    """Make an account."""
    row = users.register(
        actor=actor, email=body["email"], name=body["name"], password=body["password"]
    )
    return representations.user(row), 201, {"Location": "/api/v1/users/me"}


def login(actor: Actor, body: dict[str, Any]) -> Answer:
    """Open a session and hand its tokens to the browser's cookie jar."""
    return _signed_in(sessions.login(actor=actor, email=body["email"], password=body["password"]))


def issue_token(actor: Actor, body: dict[str, Any]) -> Answer:
    """Open a session, or go on with one, and answer its tokens themselves."""
    sign_in = sessions.issue_token(actor=actor, **body)
    answer = {
        **_representation(sign_in),
        "token_type": "Bearer",
        "access_token": sign_in.access_token,
        "refresh_token": sign_in.refresh_token,
        "refresh_expires_at": representations.instant(sign_in.refresh_expires_at),
    }
    return answer, 200, dict(_UNSTORED)


def refresh_session(actor: Actor, credential: str) -> Answer:
    """Exchange the refresh token of the cookie for the next pair."""
    return _signed_in(sessions.refresh_session(actor=actor, refresh_token=credential))


def logout(actor: Actor) -> Answer:
    """End the session and clear its cookies."""
    sessions.logout(actor=actor)
    return None, 204, {"Set-Cookie": _cookies().clear()}


def change_password(actor: Actor, body: dict[str, Any]) -> Answer:
    """Change the password and end the other sessions."""
    users.change_password(
        actor=actor,
        current_password=body["current_password"],
        new_password=body["new_password"],
    )
    return None, 204, {}


def list_sessions(actor: Actor, limit: int, cursor: str | None = None) -> Answer:
    """Answer one page of where the one who asks is signed in."""
    page = sessions.list_sessions(actor=actor, limit=limit, cursor=cursor)
    represent = partial(representations.open_session, current=actor.session_id)
    body, link = representations.page(page, represent, "/api/v1/auth/sessions", {"limit": limit})
    return body, 200, link


def revoke_session(actor: Actor, session_id: UUID) -> Answer:
    """End one of the sessions of the one who asks."""
    sessions.revoke_session(actor=actor, session_id=session_id)
    return None, 204, {}


def _representation(sign_in: sessions.SignIn) -> dict[str, Any]:
    return {
        "user": representations.user(sign_in.user),
        "session": representations.session(sign_in.session),
        "access_expires_at": representations.instant(sign_in.access_expires_at),
    }


def _cookies() -> SessionCookies:
    return SessionCookies(configuration().cookie_secure)


def _signed_in(sign_in: sessions.SignIn) -> Answer:
    set_cookie = _cookies().set(
        sign_in.access_token,
        sign_in.access_expires_at,
        sign_in.refresh_token,
        sign_in.refresh_expires_at,
    )
    return _representation(sign_in), 200, {"Set-Cookie": set_cookie, **_UNSTORED}
