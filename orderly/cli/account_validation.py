"""Validates an account from the command line with the contract's schema for registration."""

from __future__ import annotations

from orderly.contract import document
from orderly.contract.schemas import CompiledSchema

_TECHNICAL_CODES = {"pattern", "format"}


def account_errors(**account: str) -> list[str]:
    """Return the first error of each invalid field among `email`, `name` and `password`.

    No message repeats a value.
    """
    schemas = document.load()["components"]["schemas"]
    schema = CompiledSchema({**schemas["UserRegistration"], "components": {"schemas": schemas}})
    messages: dict[str, str] = {}
    # A regular expression or a format does not help a user: report such an error last.
    violations = sorted(schema.violations(account), key=lambda one: one.code in _TECHNICAL_CODES)
    for violation in violations:
        message = "is not valid" if violation.code in _TECHNICAL_CODES else violation.message
        messages.setdefault(str(violation.path[0]), message)
    return [f"{name}: {message}" for name, message in messages.items()]
