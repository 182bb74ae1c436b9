"""Access tokens: short-lived JWTs that are verified without a database query.

They follow RFC 8725: the algorithm is fixed and not read from the token; the tokens have their own
type; only the shop's own keys are accepted, found by key id; issuer, audience and expiry are
verified.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import jwt

from services.process import configuration

# Fixed here: the header of a token must not choose how it is verified (RFC 8725, section 3.1).
_ALGORITHM = "HS256"
# Explicit typing (RFC 8725, section 3.11) with the type of RFC 9068, section 2.1.
_TYPE = "at+jwt"
_REQUIRED_CLAIMS = ["iss", "aud", "exp", "iat", "jti", "sid", "sub", "role"]
_KEY_ID_BYTES = 9
# Tokens issued here have about 450 characters. Tokens above this limit are not even parsed.
_MAX_TOKEN_CHARACTERS = 2048
# Clock skew: how far in the future the `iat` of a token from another server may be.
CLOCK_LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified access token. `expires_at` is in seconds since the epoch."""

    user_id: UUID
    role: str
    session_id: UUID
    expires_at: int


def issue(*, user_id: UUID, role: str, session_id: UUID) -> tuple[str, datetime]:
    """Return a signed access token (a JWT, RFC 7519) and the time when it expires."""
    settings = configuration()
    issued_at = datetime.now(UTC).replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=settings.access_token_seconds)
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": str(user_id),
        "sid": str(session_id),
        "role": role,
        "iat": issued_at,
        "exp": expires_at,
        "jti": secrets.token_urlsafe(12),
    }
    headers = {"typ": _TYPE, "kid": key_id(settings.signing_key)}
    token = jwt.encode(claims, settings.signing_key, algorithm=_ALGORITHM, headers=headers)
    return token, expires_at


def verify(token: str) -> Claims | None:
    """Return the claims of a token, or None if it has expired or was not issued by this shop.

    `iat` and `nbf` may be in the future by `CLOCK_LEEWAY_SECONDS`. `exp` has no leeway.
    """
    if len(token) > _MAX_TOKEN_CHARACTERS:
        return None
    settings = configuration()
    try:
        header = jwt.get_unverified_header(token)
        # `kid` is only looked up among the shop's keys. Other header parameters that name keys
        # (jku, jwk, x5u) are ignored (RFC 8725, section 3.10).
        key = _keys_by_id(settings.signing_key, settings.other_signing_keys).get(
            header.get("kid", "")
        )
        if key is None or header.get("typ") != _TYPE or "crit" in header:
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=settings.issuer,
            audience=settings.audience,
            options={"require": _REQUIRED_CLAIMS},
            leeway=CLOCK_LEEWAY_SECONDS,
        )
        if int(claims["exp"]) <= time.time():  # PyJWT applies the leeway to `exp` too
            return None
        return Claims(
            user_id=UUID(claims["sub"]),
            role=str(claims["role"]),
            session_id=UUID(claims["sid"]),
            expires_at=int(claims["exp"]),
        )
    except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
        return None


@lru_cache(maxsize=16)
def key_id(key: bytes) -> str:
    """Return the id of a key (the `kid` header of tokens).

    The id is derived from the key, so that all servers of a shop compute the same id. The
    derivation is a one-way function, so that the id reveals nothing about the key.
    """
    digest = hmac.digest(key, b"orderly access token key id", "sha256")
    return urlsafe_b64encode(digest[:_KEY_ID_BYTES]).decode()


@lru_cache(maxsize=4)
def _keys_by_id(signing_key: bytes, others: tuple[bytes, ...]) -> Mapping[str, bytes]:
    return {key_id(key): key for key in (signing_key, *others)}
