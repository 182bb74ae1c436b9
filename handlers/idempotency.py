"""The headers `Idempotency-Key` and `Idempotent-Replayed`."""

from __future__ import annotations


def parse_idempotency_key(idempotency_key: str | None) -> str | None:
    """Return the key without the quotes of a structured field string (RFC 9651, section 3.3.3)."""
    if idempotency_key and idempotency_key.startswith('"') and idempotency_key.endswith('"'):
        return idempotency_key[1:-1]
    return idempotency_key


def replay_headers(replayed: bool) -> dict[str, str]:
    """Return the header that says whether an earlier request has created the resource."""
    return {"Idempotent-Replayed": "true"} if replayed else {}
