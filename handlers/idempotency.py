"""The `Idempotency-Key` header."""

from __future__ import annotations


def parse_idempotency_key(idempotency_key: str | None) -> str | None:
    """Return the key without the quotes of a structured field string (RFC 9651, section 3.3.3)."""
    if idempotency_key and idempotency_key.startswith('"') and idempotency_key.endswith('"'):
        return idempotency_key[1:-1]
    return idempotency_key
