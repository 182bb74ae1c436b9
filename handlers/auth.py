"""Signing up, in and out."""

from __future__ import annotations

from typing import Any

from domain.actor import Actor
from handlers import cookies, representations
from services import sessions, users

Answer = tuple[Any, int, dict[str, Any]]


def register(actor: Actor, body: dict[str, Any]) -> Answer:
    """Make an account."""
    row = users.register(
        actor=actor, email=body["email"], name=body["name"], password=body["password"]
    )
    return representations.user(row), 201, {"Location": "/api/v1/users/me"}


def login(actor: Actor, body: dict[str, Any]) -> Answer:
    """Open a session and hand its tokens to the browser's cookie jar."""
    return _signed_in(sessions.login(actor=actor, email=body["email"], password=body["password"]))


def refresh_session(actor: Actor, credential: str) -> Answer:
    """Exchange the refresh token of the cookie for the next pair."""
    return _signed_in(sessions.refresh_session(actor=actor, refresh_token=credential))


def logout(actor: Actor) -> Answer:
    """End the session and clear its cookies."""
    sessions.logout(actor=actor)
    return None, 204, {"Set-Cookie": cookies.cleared_cookies()}


def _signed_in(sign_in: sessions.SignIn) -> Answer:
    body = {
        "user": representations.user(sign_in.user),
        "session": representations.session(sign_in.session),
        "access_expires_at": representations.instant(sign_in.access_expires_at),
    }
    set_cookie = cookies.session_cookies(
        sign_in.access_token,
        sign_in.access_expires_at,
        sign_in.refresh_token,
        sign_in.refresh_expires_at,
    )
    return body, 200, {"Set-Cookie": set_cookie, "Cache-Control": "no-store"}
