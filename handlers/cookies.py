"""The session cookies: their names, scopes and attributes (RFC 6265bis)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

ACCESS_COOKIE = "orderly_access"
REFRESH_COOKIE = "orderly_refresh"

# The refresh token travels to the operations that rotate or end a session, and nowhere else.
_REFRESH_PATH = "/api/v1/auth"

# A browser takes a cookie of such a name only over HTTPS, so that nobody on the way can plant one;
# and for "__Host-" only from this very host and for all its paths, so that no neighbour can.
_SECURE_PREFIXES = {ACCESS_COOKIE: "__Host-", REFRESH_COOKIE: "__Secure-"}


@dataclass
class CookiePolicy:
    """What the deployment decides about cookies; set once at start."""

    secure: bool = True

    def name(self, cookie: str) -> str:
        """Return the name that a cookie really has."""
        return _SECURE_PREFIXES[cookie] + cookie if self.secure else cookie

    def names(self) -> dict[str, str]:
        """Return the names that the cookies really have, by those that the document writes."""
        return {cookie: self.name(cookie) for cookie in _SECURE_PREFIXES}


policy = CookiePolicy()


def session_cookies(
    access_token: str,
    access_expires_at: datetime,
    refresh_token: str,
    refresh_expires_at: datetime,
) -> list[str]:
    """Return the Set-Cookie values that sign a browser in."""
    return [
        _cookie(ACCESS_COOKIE, access_token, "/", access_expires_at),
        _cookie(REFRESH_COOKIE, refresh_token, _REFRESH_PATH, refresh_expires_at),
    ]


def cleared_cookies() -> list[str]:
    """Return the Set-Cookie values that sign a browser out."""
    epoch = "Thu, 01 Jan 1970 00:00:00 GMT"
    return [
        f"{policy.name(name)}=; Path={path}; Expires={epoch}; Max-Age=0; {_attributes()}"
        for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, _REFRESH_PATH))
    ]


def _cookie(name: str, value: str, path: str, expires_at: datetime) -> str:
    expires = format_datetime(expires_at, usegmt=True)
    return f"{policy.name(name)}={value}; Path={path}; Expires={expires}; {_attributes()}"


def _attributes() -> str:
    return "HttpOnly; SameSite=Lax" + ("; Secure" if policy.secure else "")
