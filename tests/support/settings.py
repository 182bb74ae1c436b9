"""Settings that the servers and services under test share."""

from __future__ import annotations

SIGNING_KEY = "a signing key for tests, 32 bytes long"

# Tests of other behaviour must not reach a rate limit.
NO_RATE_LIMITS = {
    "sign_in_limit": 100_000,
    "registration_limit": 100_000,
    "refresh_limit": 100_000,
    "password_change_limit": 100_000,
    "payment_limit": 100_000,
    "account_mail_limit": 100_000,
}
NO_RATE_LIMIT_VARIABLES = {
    **{f"ORDERLY_{name.upper()}": str(limit) for name, limit in NO_RATE_LIMITS.items()},
    "ORDERLY_REQUEST_LIMIT": "10000000",
}
