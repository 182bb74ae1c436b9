"""Judges an account that is made on the command line as the contract judges one made by HTTP."""

from __future__ import annotations

from orderly.contract import document
from orderly.contract.schemas import CompiledSchema

_UNREADABLE = {"pattern", "format"}


def faults(**account: str) -> list[str]:
    """Return what is wrong with an account's `email`, `name` and `password`, a line for each.

    No message repeats a value.
    """
    properties = document.load()["components"]["schemas"]
    schema = CompiledSchema(
        {
            **properties["UserRegistration"],
            "components": {"schemas": properties},
        }
    )
    told: dict[str, str] = {}
    for one in sorted(schema.violations(account), key=lambda one: one.code in _UNREADABLE):
        fault = "is not one that can be used" if one.code in _UNREADABLE else one.message
        told.setdefault(str(one.path[0]), fault)
    return [f"{name}: {fault}" for name, fault in told.items()]
