"""Access tokens: short-lived JWTs that prove who asks without a look into the database."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt

from services.configuration import configuration

# Pinned: a token's own header never chooses how it is verified (RFC 8725, section 3.1).
_ALGORITHM = "HS256"
_REQUIRED = ["iss", "aud", "exp", "iat", "jti", "sid", "sub", "role"]


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
    return jwt.encode(claims, settings.signing_key, algorithm=_ALGORITHM), expires_at


def verify(token: str) -> Claims | None:
    """Return what the token says, or None for one that is expired or was never issued here."""
    settings = configuration()
    try:
        claims = jwt.decode(
            token,
            settings.signing_key,
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
    except (jwt.InvalidTokenError, ValueError, AttributeError):
        return None
