"""Turns a credential into a principal: pure CPU, since it runs on the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE, ApiKeySecurityHandler, BearerSecurityHandler
from starlette.requests import cookie_parser
from starlette.types import Scope

from domain.actor import Actor
from handlers.cookies import ACCESS_COOKIE
from orderly.http.problems import Problem
from services import access_tokens, process, revocation

MOST_REMEMBERED_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from, as its credential proves."""

    user_id: UUID | None
    role: str | None
    session_id: UUID | None
    credential: str
    by_cookie: bool


class CookieHandler(ApiKeySecurityHandler):
    """The cookie schemes. Stock Connexion fails on cookies that RFC 6265 has browsers send."""

    def get_fn(
        self, security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that reads the cookie which the document's scheme names."""
        name = security_scheme["name"]
        is_access = name.endswith(ACCESS_COOKIE)  # it may have a prefix
        principal_of = _access_principal if is_access else _unverified_principal

        def read(request: ConnexionRequest) -> Any:
            header = _header(request.scope, b"cookie")
            if header is None:
                return NO_VALUE
            if is_access and _header(request.scope, b"authorization") is not None:
                # A header that a client sets itself speaks louder than a cookie that comes along.
                return NO_VALUE
            value = cookie_parser(header).get(name)
            if not value:
                return NO_VALUE
            return _remember(request.scope, principal_of(value, by_cookie=True))

        return read


class BearerHandler(BearerSecurityHandler):
    """The bearer scheme of RFC 6750."""

    def get_fn(
        self, _security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that reads the Authorization header."""

        def read(request: ConnexionRequest) -> Any:
            header = _header(request.scope, b"authorization")
            if header is None:
                return NO_VALUE
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise Problem("unauthenticated", "The Authorization header is no bearer token.")
            return _remember(request.scope, _access_principal(token.strip(), by_cookie=False))

        return read


SECURITY_MAP = {"apiKey": CookieHandler, "bearer": BearerHandler}


def authorize(scope: Scope, *, role: str | None, unsafe: bool) -> None:
    """Let a signed-in request pass that may make its operation.

    Raises:
        Problem: `cross_site_request`: an unsafe request by cookie comes from another site;
            `forbidden`: the operation needs another role.
    """
    principal: Principal = scope["orderly"]["principal"]
    if unsafe and principal.by_cookie and _is_cross_site(scope):
        raise Problem("cross_site_request", "This request was sent by another web site.")
    if role is not None and principal.role != role:
        raise Problem("forbidden", f"This operation is for the role {role}.", required_role=role)


def actor_of(scope: Scope) -> Actor:
    """Return who makes this request, and through which one, for the services."""
    context = scope["orderly"]
    principal: Principal | None = context.get("principal")
    client = scope.get("client")
    return Actor(
        user_id=principal.user_id if principal else None,
        role=principal.role if principal else None,
        session_id=principal.session_id if principal else None,
        request_id=context["request_id"],
        address=client[0] if client else "",
        user_agent=_header(scope, b"user-agent") or "",
    )


def credential_of(scope: Scope) -> str:
    """Return the secret that a signed-in request was sent with."""
    principal: Principal = scope["orderly"]["principal"]
    return principal.credential


def _remember(scope: Scope, principal: Principal) -> dict[str, Any]:
    scope["orderly"]["principal"] = principal
    scope["orderly"]["user_id"] = principal.user_id
    return {"sub": principal.user_id}


def _unverified_principal(value: str, *, by_cookie: bool) -> Principal:
    # A refresh token proves nothing by itself: the session service looks it up.
    return Principal(None, None, None, value, by_cookie)


def _access_principal(token: str, *, by_cookie: bool) -> Principal:
    """Verify an access token; one seen before needs only be looked at for whether it has ended."""
    verified_tokens = process.state().verified_tokens
    known = verified_tokens.get(token)
    if known is None or known[0] <= time.time():
        claims = access_tokens.verify(token)
        if claims is None:
            raise Problem("invalid_token", "The access token is expired or was never issued here.")
        facts = (claims.user_id, claims.role, claims.session_id, token)
        known = (claims.expires_at, Principal(*facts, by_cookie=False), Principal(*facts, True))
        if len(verified_tokens) >= MOST_REMEMBERED_TOKENS:
            verified_tokens.clear()
        verified_tokens[token] = known
    principal = known[2] if by_cookie else known[1]
    assert principal.session_id is not None  # noqa: S101  # every access token names one
    if revocation.is_revoked(principal.session_id):
        raise Problem("invalid_token", "The session of this access token has ended.")
    return principal


def _is_cross_site(scope: Scope) -> bool:
    """Tell by Fetch Metadata whether another site sent this; by Origin where a browser has none."""
    origin = _header(scope, b"origin")
    if origin is not None and origin in process.configuration().allowed_origins:
        return False
    site = _header(scope, b"sec-fetch-site")
    if site is not None:
        return site == "cross-site"
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != (_header(scope, b"host") or "").lower()


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
