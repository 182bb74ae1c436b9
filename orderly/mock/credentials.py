"""Authentication in the mock: it accepts any cookie or token, because it has no users.

A request without a credential is still refused where the contract requires one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE, ApiKeySecurityHandler, BearerSecurityHandler

from domain.actor import ADMIN
from handlers.cookies import read_cookie
from orderly.http.authentication import Principal, set_principal


class AnyCookieHandler(ApiKeySecurityHandler):
    """The cookie schemes of the document, with any value."""

    def get_fn(
        self, security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that accepts a request which has the cookie of the scheme."""
        name = security_scheme["name"]

        def authenticate(request: ConnexionRequest) -> Any:
            value = read_cookie(request.headers.get("cookie", ""), name)
            return _accept(request, value) if value else NO_VALUE

        return authenticate


class AnyBearerHandler(BearerSecurityHandler):
    """The bearer scheme of the document, with any token."""

    def get_fn(
        self, _security_scheme: Mapping[str, str], _required_scopes: list[str]
    ) -> Callable[[ConnexionRequest], Any]:
        """Return the function that accepts a request which has an Authorization header."""

        def authenticate(request: ConnexionRequest) -> Any:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            token = token.strip()
            return _accept(request, token) if scheme.lower() == "bearer" and token else NO_VALUE

        return authenticate


SECURITY_MAP = {"apiKey": AnyCookieHandler, "bearer": AnyBearerHandler}


def _accept(request: ConnexionRequest, credential: str) -> dict[str, Any]:
    # The role ADMIN is allowed to call every operation. `by_cookie=False` turns off the check for
    # cross-site requests: pages of any origin may call the mock.
    principal = Principal(None, ADMIN, None, credential, by_cookie=False)
    return set_principal(request.scope, principal)
