"""Judges an account that is made on the command line as the contract judges one made by HTTP."""

from __future__ import annotations

from orderly.contract import document
from orderly.contract.schemas import CompiledSchema

_UNREADABLE = {"pattern", "format"}


def faults(**account: str) -> list[str]:
    """Return what is wrong with an account's `email`, `name` and `password`; [] is well.

    No message repeats a value.
    """
    properties = document.load()["components"]["schemas"]
    schema = CompiledSchema(
        {
            **properties["UserRegistration"],
            "components": {"schemas": properties},
        }
    )
    return [
        f"{'.'.join(map(str, one.path))}: "
        + ("is not one that can be used" if one.code in _UNREADABLE else one.message)
        for one in schema.violations(account)
    ]
