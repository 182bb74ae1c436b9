"""Access tokens: short-lived JWTs that prove who asks without a look into the database.

RFC 8725 is followed throughout: one algorithm, chosen here and never by the token; a type of its
own; keys from this shop's ring alone, found by their id; issuer, audience and lifetime checked.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import jwt

from services.configuration import Configuration
from services.process import configuration

# Pinned: a token's own header never chooses how it is verified (RFC 8725, section 3.1).
_ALGORITHM = "HS256"
# Says what it is good for (RFC 8725, section 3.11; RFC 9068, section 2.1).
_TYPE = "at+jwt"
_REQUIRED = ["iss", "aud", "exp", "iat", "jti", "sid", "sub", "role"]
_KEY_ID_BYTES = 9
# Ours have some 450 characters: nothing longer is taken apart.
_LONGEST_TOKEN = 2048


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says. `expires_at` is in seconds since the epoch."""

    user_id: UUID
    role: str
    session_id: UUID
    expires_at: int


def issue(*, user_id: UUID, role: str, session_id: UUID) -> tuple[str, datetime]:
    """Return a signed access token (RFC 7519) and when it expires."""
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
    """Return what the token says, or None for one that is expired or was never issued here."""
    if len(token) > _LONGEST_TOKEN:
        return None
    settings = configuration()
    try:
        header = jwt.get_unverified_header(token)
        # A name in a table of ours, nothing more (RFC 8725, section 3.10): what else the header
        # may say of keys (jku, jwk, x5u) is not looked at.
        key = _ring(settings).get(header.get("kid", ""))
        if key is None or header.get("typ") != _TYPE or "crit" in header:
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=settings.issuer,
            audience=settings.audience,
            options={"require": _REQUIRED},
        )
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
    """Return the id of a key, by which tokens name it.

    Derived from the key, so that all machines of a shop agree on it; and one-way, so that it tells
    no more about the key than a signature does.
    """
    digest = hmac.digest(key, b"orderly access token key id", "sha256")
    return urlsafe_b64encode(digest[:_KEY_ID_BYTES]).decode()


def _ring(settings: Configuration) -> Mapping[str, bytes]:
    return _ring_of(settings.signing_key, settings.other_signing_keys)


@lru_cache(maxsize=4)
def _ring_of(signing_key: bytes, others: tuple[bytes, ...]) -> Mapping[str, bytes]:
    return {key_id(key): key for key in (signing_key, *others)}
