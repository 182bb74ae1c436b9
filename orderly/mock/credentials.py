"""Credentials as the mock takes them: whoever brings one is signed in, since nobody is registered.

That one is brought is still asked, where the contract asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE, ApiKeySecurityHandler, BearerSecurityHandler
from starlette.requests import cookie_parser


class AnyCookieHandler(ApiKeySecurityHandler):
    """The cookie schemes, with any value."""

    def get_fn(
        self, security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that looks for the cookie which the document's scheme names."""
        name = security_scheme["name"]

        def look(request: ConnexionRequest) -> Any:
            brought = cookie_parser(request.headers.get("cookie", "")).get(name)
            return {"sub": brought} if brought else NO_VALUE

        return look


class AnyBearerHandler(BearerSecurityHandler):
    """The bearer scheme, with any token."""

    def get_fn(
        self, _security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that looks for an Authorization header."""

        def look(request: ConnexionRequest) -> Any:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            return {"sub": token} if scheme.lower() == "bearer" and token.strip() else NO_VALUE

        return look


SECURITY_MAP = {"apiKey": AnyCookieHandler, "bearer": AnyBearerHandler}
