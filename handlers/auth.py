"""HTTP handlers of registration, login, tokens, sessions and passwords."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import representations
from handlers.cookies import CLEAR_SITE_DATA, SessionCookies
from handlers.responses import BASE_PATH, Response
from services import email_addresses, password_changes, password_resets, registrations, sessions
from services.mails import MailRequest
from services.process import configuration

_NO_STORE = {"Cache-Control": "no-store"}


def register(actor: Actor, body: dict[str, Any]) -> Response:
    """Create an account."""
    registered = registrations.register(
        actor=actor, email=body["email"], name=body["name"], password=body["password"]
    )
    if isinstance(registered, MailRequest):
        return representations.mail_request(registered), 202, {}
    return representations.user(registered), 201, {"Location": f"{BASE_PATH}/users/me"}


def login(actor: Actor, refresh_cookie: str | None, body: dict[str, Any]) -> Response:
    """Start a session and set its tokens as cookies; end the session whose cookie was sent."""
    sign_in = sessions.login(
        actor=actor,
        email=body["email"],
        password=body["password"],
        replaced_refresh_token=refresh_cookie,
    )
    return _response_with_cookies(sign_in)


def issue_token(actor: Actor, body: dict[str, Any]) -> Response:
    """Start or refresh a session and return its tokens in the body."""
    sign_in = sessions.issue_token(actor=actor, **body)
    return _tokens(sign_in), 200, _NO_STORE


def refresh_session(actor: Actor, credential: str) -> Response:
    """Exchange the refresh token of the cookie for a new pair of tokens."""
    sign_in = sessions.refresh_session(actor=actor, refresh_token=credential)
    return _response_with_cookies(sign_in)


def logout(actor: Actor, refresh_cookie: str | None) -> Response:
    """End the sessions of the request's credentials; clear cookies, cache and storage."""
    sessions.logout(actor=actor, refresh_token=refresh_cookie)
    return None, 204, {"Set-Cookie": _cookies().clear(), **CLEAR_SITE_DATA}


def change_password(actor: Actor, by_cookie: bool, body: dict[str, Any]) -> Response:
    """Change the caller's password, replace all sessions by a new one, and return its tokens."""
    sign_in = password_changes.change_password(
        actor=actor,
        current_password=body["current_password"],
        new_password=body["new_password"],
    )
    if by_cookie:
        return None, 204, {"Set-Cookie": _set_cookies(sign_in)}
    return _tokens(sign_in), 200, _NO_STORE


def request_password_reset(actor: Actor, body: dict[str, Any]) -> Response:
    """Request a mail with a link to set a new password."""
    request = password_resets.request_password_reset(actor=actor, email=body["email"])
    return representations.mail_request(request), 202, {}


def confirm_password_reset(actor: Actor, body: dict[str, Any]) -> Response:
    """Set a new password by the token of a mail."""
    password_resets.confirm_password_reset(
        actor=actor, token=body["token"], new_password=body["new_password"]
    )
    return None, 204, {}


def request_email_verification(actor: Actor) -> Response:
    """Request a mail with a link that verifies the caller's address."""
    request = email_addresses.request_email_verification(actor=actor)
    return representations.mail_request(request), 202, {}


def confirm_email_verification(actor: Actor, body: dict[str, Any]) -> Response:
    """Verify an address by the token of a mail."""
    email_addresses.confirm_email_verification(actor=actor, token=body["token"])
    return None, 204, {}


def list_sessions(actor: Actor, limit: int, cursor: str | None = None) -> Response:
    """Return a page of the caller's own sessions."""
    page = sessions.list_sessions(actor=actor, limit=limit, cursor=cursor)
    represent = partial(representations.open_session, current_id=actor.session_id)
    path = f"{BASE_PATH}/auth/sessions"
    body, link = representations.page(page, represent, path, {"limit": limit})
    return body, 200, link


def revoke_session(actor: Actor, session_id: UUID) -> Response:
    """End one of the caller's own sessions."""
    sessions.revoke_session(actor=actor, session_id=session_id)
    return None, 204, {}


def _sign_in_body(sign_in: sessions.SignIn) -> dict[str, Any]:
    return {
        "user": representations.user(sign_in.user),
        "session": representations.session(sign_in.session),
        "access_expires_at": sign_in.access_expires_at,
    }


def _cookies() -> SessionCookies:
    return SessionCookies(configuration().cookie_secure)


def _tokens(sign_in: sessions.SignIn) -> dict[str, Any]:
    return {
        **_sign_in_body(sign_in),
        "token_type": "Bearer",
        "access_token": sign_in.access_token,
        "refresh_token": sign_in.refresh_token,
        "refresh_expires_at": sign_in.refresh_expires_at,
    }


def _response_with_cookies(sign_in: sessions.SignIn) -> Response:
    return _sign_in_body(sign_in), 200, {"Set-Cookie": _set_cookies(sign_in), **_NO_STORE}


def _set_cookies(sign_in: sessions.SignIn) -> list[str]:
    return _cookies().set(
        sign_in.access_token,
        sign_in.access_expires_at,
        sign_in.refresh_token,
        sign_in.refresh_expires_at,
    )
