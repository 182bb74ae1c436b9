"""Closes the schemas of responses, so that tests find what the contract does not document.

Clients must accept members and enum values that a later version adds, so the published schemas
allow them. The server itself may only send what this version documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# The known values of a string that may have others in later versions.
EXTENSIBLE_ENUM: Final = "x-extensible-enum"


def closed(schema: Any) -> Any:
    """Return a copy of a schema that rejects unknown members and unknown enum values.

    The `additionalProperties` of an object stays as it is, except in a part of an `allOf`: see
    `_without_other_members`. References must already be resolved.
    """
    if isinstance(schema, list):
        return [closed(member) for member in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {
        # The keys of `properties` are names, not keywords.
        key: {name: closed(one) for name, one in value.items()}
        if key == "properties"
        else closed(value)
        for key, value in schema.items()
    }
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        copy = _without_other_members(copy)
    if EXTENSIBLE_ENUM in schema:
        copy["enum"] = schema[EXTENSIBLE_ENUM]
    return copy


def _without_other_members(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an object schema that allows only its own members and those of its `allOf`.

    Each part of an `allOf` sees all members, so the parts cannot reject any themselves.
    """
    parts = [
        {key: value for key, value in part.items() if key != "additionalProperties"}
        for part in schema.get("allOf", ())
    ]
    members: dict[str, Any] = {name: {} for part in parts for name in part.get("properties", ())}
    return {
        **schema,
        **({"allOf": parts} if parts else {}),
        "properties": {**members, **schema.get("properties", {})},
        "additionalProperties": False,
    }
