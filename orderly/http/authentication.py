"""Verifies the credential of a request and determines its principal.

This runs on the event loop, so it only computes: it never waits for the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE, ApiKeySecurityHandler, BearerSecurityHandler
from starlette.types import Scope

from domain.actor import Actor
from handlers.cookies import ACCESS_COOKIE, REFRESH_COOKIE, SessionCookies, read_cookie
from orderly.http.problems import Problem
from services import access_tokens, process, revocation

_MAX_CACHED_TOKENS = 4096

# Operations that accept the access cookie of a session that has ended. Signing out must then still
# clear the cookie, and end the session of the refresh cookie.
_ACCEPT_ENDED_SESSIONS = {"logout"}


@dataclass(frozen=True, slots=True)
class Principal:
    """The user that a credential identifies.

    All ids are None for a refresh token, and for the cookie of a session that has ended.
    """

    user_id: UUID | None
    role: str | None
    session_id: UUID | None
    credential: str  # the token itself
    by_cookie: bool


class CookieHandler(ApiKeySecurityHandler):
    """Reads the cookie of a security scheme.

    Connexion's own handler raises an error for some cookies that browsers send (RFC 6265).
    """

    def get_fn(
        self, security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that Connexion calls for each request to verify the cookie."""
        name = security_scheme["name"]
        is_access = name.endswith(ACCESS_COOKIE)  # the name may have a prefix

        def authenticate(request: ConnexionRequest) -> Any:
            header = _header(request.scope, b"cookie")
            if header is None:
                return NO_VALUE
            if is_access and _header(request.scope, b"authorization") is not None:
                # Browsers attach cookies to every request, so an explicit header takes precedence.
                return NO_VALUE
            value = read_cookie(header, name)
            if not value:
                return NO_VALUE
            principal = _cookie_principal(value, request.scope) if is_access else _unverified(value)
            return set_principal(request.scope, principal)

        return authenticate


class BearerHandler(BearerSecurityHandler):
    """Reads the bearer token (RFC 6750)."""

    def get_fn(
        self, _security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that Connexion calls for each request to verify the token."""

        def authenticate(request: ConnexionRequest) -> Any:
            scope: Scope = request.scope  # each access calls three functions of Connexion
            header = _header(scope, b"authorization")
            if header is None:
                return NO_VALUE
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise Problem("unauthenticated", "The Authorization header has no bearer token.")
            return set_principal(scope, _access_principal(token.strip(), by_cookie=False))

        return authenticate


SECURITY_MAP = {"apiKey": CookieHandler, "bearer": BearerHandler}


def authorize(scope: Scope, *, role: str | None, same_origin_only: bool) -> None:
    """Check that the principal of a request may call the operation.

    Args:
        scope: The ASGI scope of an authenticated request.
        role: The role that the operation requires, or None.
        same_origin_only: Whether a cookie may authenticate the request only if a page of this
            server, or of an origin that the settings allow, sent it.

    Raises:
        Problem: `cross_site_request`: the request is authenticated by cookie and a page of
            another origin sent it; `forbidden`: the operation requires another role.
    """
    principal: Principal = scope["orderly"]["principal"]
    if same_origin_only and principal.by_cookie and _is_from_other_origin(scope):
        raise Problem("cross_site_request", "A page of another origin sent this request.")
    if role is not None and principal.role != role:
        raise Problem("forbidden", f"This operation requires the role {role}.", required_role=role)


def actor_of(scope: Scope) -> Actor:
    """Return the principal and the origin of a request, in the form that services expect."""
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
    """Return the token of an authenticated request."""
    principal: Principal = scope["orderly"]["principal"]
    return principal.credential


def refresh_cookie_of(scope: Scope) -> str | None:
    """Return the refresh token in the cookie of a request, or None.

    None too if a bearer token authenticates the request: it takes precedence over cookies.
    """
    principal: Principal | None = scope["orderly"].get("principal")
    header = _header(scope, b"cookie")
    if header is None or (principal is not None and not principal.by_cookie):
        return None
    names = SessionCookies(process.configuration().cookie_secure).names()
    return read_cookie(header, names[REFRESH_COOKIE]) or None


def is_by_cookie(scope: Scope) -> bool:
    """Return whether a cookie authenticates the request."""
    principal: Principal = scope["orderly"]["principal"]
    return principal.by_cookie


def set_principal(scope: Scope, principal: Principal) -> dict[str, Any]:
    """Store the principal in the scope. Return the token information that Connexion expects."""
    scope["orderly"]["principal"] = principal
    scope["orderly"]["user_id"] = principal.user_id
    return {"sub": principal.user_id}


def _cookie_principal(token: str, scope: Scope) -> Principal:
    try:
        return _access_principal(token, by_cookie=True)
    except Problem:
        if scope["orderly"]["operation_id"] in _ACCEPT_ENDED_SESSIONS:
            return _unverified(token)
        raise


def _unverified(token: str) -> Principal:
    # A refresh token is verified later, by `services.sessions`, since that needs the database.
    return Principal(None, None, None, token, by_cookie=True)


def _access_principal(token: str, *, by_cookie: bool) -> Principal:
    """Verify an access token and that its session has not been revoked.

    The signature of a token is verified once. Later requests find the token in a cache.
    """
    cache = process.state().verified_tokens
    cached = cache.get(token)
    if cached is None or cached[0] <= time.time():
        claims = access_tokens.verify(token)
        if claims is None:
            raise Problem("invalid_token", "The access token is invalid or has expired.")
        facts = (claims.user_id, claims.role, claims.session_id, token)
        # The expiry, the principal of the bearer token, and that of the cookie
        cached = (claims.expires_at, Principal(*facts, False), Principal(*facts, True))
        if len(cache) >= _MAX_CACHED_TOKENS:
            cache.clear()
        cache[token] = cached
    principal = cached[2] if by_cookie else cached[1]
    assert principal.session_id is not None  # noqa: S101  # every access token has a session
    if revocation.is_revoked(principal.session_id):
        raise Problem("invalid_token", "The session of this access token has ended.")
    return principal


def _is_from_other_origin(scope: Scope) -> bool:
    """Return whether a page of another origin sent the request. The settings can allow origins.

    Browsers say in `Sec-Fetch-Site` (Fetch Metadata) how the origins are related. `same-site` is
    not enough: it includes other subdomains and other ports of the same host, whose requests have
    the SameSite cookies. For old browsers, only the origin is compared with the host.
    """
    origin = _header(scope, b"origin")
    allowed = process.configuration().allowed_origins
    if origin is not None and allowed is not None and allowed.fullmatch(origin):
        return False
    site = _header(scope, b"sec-fetch-site")
    if site in {"same-origin", "none"}:
        return False
    if site not in {"same-site", None}:
        return True
    if origin is None:
        # Browsers send no Origin when they follow a link.
        return site is not None
    # Compare the text after "://": an Origin has only scheme, host and port, and a URL parser could
    # raise errors.
    return origin.partition("://")[2].lower() != (_header(scope, b"host") or "").lower()


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
