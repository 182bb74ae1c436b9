"""Response headers that restrict what a browser does with a response (OWASP ASVS 5.0, 3.4).

uvicorn adds the headers of `server_headers` to every response, including the error responses that
it sends itself. `RequestLog` adds the content security policy, which depends on the path.
"""

from __future__ import annotations

from typing import Final

Headers = tuple[tuple[bytes, bytes], ...]

_ONE_YEAR_SECONDS = 365 * 24 * 3600

# JSON and CSV load nothing, and no page may show them in a frame.
API_POLICY: Final[Headers] = (
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
)
# The pictures of products may come from any server.
_PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data: https:; object-src 'none'; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'self'"
)
# Scripts and styles may come from files of this server only. With `require-trusted-types-for`, a
# script that assigns text to `innerHTML` gets an error.
PAGE_POLICY: Final[Headers] = (
    (
        b"content-security-policy",
        _PAGE_POLICY + b"; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
)
# Swagger UI sets inline styles.
DOCS_POLICY: Final[Headers] = (
    (b"content-security-policy", _PAGE_POLICY + b"; style-src 'self' 'unsafe-inline'"),
)
# A mail in a frame of the sandbox's page: no scripts, and its links open in the window.
MAIL_POLICY: Final[Headers] = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'self'; "
        b"sandbox allow-top-navigation-by-user-activation",
    ),
)


def server_headers(*, https_only: bool) -> list[tuple[str, str]]:
    """Return the headers of every response.

    With `https_only`, browsers then use only HTTPS for this host and its subdomains (RFC 6797).
    """
    headers = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin")]
    if https_only:
        value = f"max-age={_ONE_YEAR_SECONDS}; includeSubDomains"
        headers.append(("Strict-Transport-Security", value))
    return headers
