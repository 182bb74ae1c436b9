"""The kinds of tokens that mails contain, and how long each is valid."""

from __future__ import annotations

PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105  # a kind, not a secret
EMAIL_VERIFICATION = "EMAIL_VERIFICATION"
EMAIL_CHANGE = "EMAIL_CHANGE"

KINDS = (PASSWORD_RESET, EMAIL_VERIFICATION, EMAIL_CHANGE)

_MINUTE = 60
VALID_SECONDS = {
    PASSWORD_RESET: 30 * _MINUTE,
    EMAIL_VERIFICATION: 24 * 60 * _MINUTE,
    EMAIL_CHANGE: 24 * 60 * _MINUTE,
}
