"""The session cookies: their names, paths and attributes (RFC 6265bis)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from handlers.responses import BASE_PATH

ACCESS_COOKIE = "orderly_access"
REFRESH_COOKIE = "orderly_refresh"

# The refresh token is sent only to the operations that rotate or end a session.
_REFRESH_PATH = f"{BASE_PATH}/auth"

# A browser accepts a cookie with one of these prefixes only over HTTPS, so that an attacker on the
# network cannot set it. "__Host-" also binds the cookie to this host and to the path "/", so that
# another host of the same domain cannot set it.
_SECURE_PREFIXES = {ACCESS_COOKIE: "__Host-", REFRESH_COOKIE: "__Secure-"}

# The browser's cache can contain responses to the signed-in user, and its storage the bearer token
# that /docs saves. The directive "cookies" is omitted: it would also clear the cookies of other
# hosts of the domain.
CLEAR_SITE_DATA = {"Clear-Site-Data": '"cache", "storage"'}

_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Formats the session cookies; `secure` restricts them to HTTPS."""

    secure: bool

    def names(self) -> dict[str, str]:
        """Map each cookie name of the OpenAPI document to its sent name, with the prefix."""
        return {cookie: self._name(cookie) for cookie in _SECURE_PREFIXES}

    def set(
        self,
        access_token: str,
        access_expires_at: datetime,
        refresh_token: str,
        refresh_expires_at: datetime,
    ) -> list[str]:
        """Return the Set-Cookie values that sign a browser in."""
        return [
            self._cookie(ACCESS_COOKIE, access_token, "/", access_expires_at),
            self._cookie(REFRESH_COOKIE, refresh_token, _REFRESH_PATH, refresh_expires_at),
        ]

    def clear(self) -> list[str]:
        """Return the Set-Cookie values that sign a browser out."""
        return [
            f"{self._name(name)}=; Path={path}; Expires={_EPOCH}; Max-Age=0; {self._attributes()}"
            for name, path in ((ACCESS_COOKIE, "/"), (REFRESH_COOKIE, _REFRESH_PATH))
        ]

    def _cookie(self, name: str, value: str, path: str, expires_at: datetime) -> str:
        expires = format_datetime(expires_at, usegmt=True)
        return f"{self._name(name)}={value}; Path={path}; Expires={expires}; {self._attributes()}"

    def _name(self, cookie: str) -> str:
        return _SECURE_PREFIXES[cookie] + cookie if self.secure else cookie

    def _attributes(self) -> str:
        return "HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")


def read_cookie(header: str, name: str) -> str | None:
    """Return the value of a cookie in a Cookie header (RFC 6265, section 4.2.1), or None.

    Values in quotes are not unquoted: the session cookies have none. The parsers of Starlette and
    Werkzeug unquote all cookies, in quadratic time.
    """
    value = None
    for pair in header.split(";"):
        key, _, text = pair.partition("=")
        if key.strip() == name:
            value = text.strip()
    return value
