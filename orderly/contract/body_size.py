"""Computes the maximum size of a valid JSON body from its schema.

A larger body is refused before it is parsed, so that the work for one request is bounded by what
its operation needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from orderly.contract.references import resolve

_UNIT: Final = 1024
# A client can write a character outside ASCII as two escapes: \ud83d\ude00.
_ESCAPED_CHARACTER: Final = 12
_NUMBER: Final = 24
_FORMATS: Final[Mapping[str, int]] = {"uuid": 36, "date-time": 40}
# A line break and the indentation of one level, as pretty-printing adds them.
_INDENT: Final = 4
# Parts of a pattern that match characters outside ASCII: a negated class, a dot, \D, \S and \W.
_NON_ASCII_PATTERN: Final = re.compile(r"\[\^|(?<!\\)\.|\\[DSW]|[^\x00-\x7f]|\\u")


class UnboundedBodyError(ValueError):
    """A schema has no upper bound for the size of a valid body."""


def max_json_bytes(document: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    """Return an upper bound in bytes for a valid body, rounded up to KiB.

    It has room for pretty-printing with four spaces, and for escaped characters. References are
    resolved in `document`.

    Raises:
        UnboundedBodyError: a string, an array or an object of the schema has no maximum size.
    """
    size = _Bound(document).of(schema, depth=0, place="body")
    return -(-size // _UNIT) * _UNIT


class _Bound:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def of(self, schema: Mapping[str, Any], *, depth: int, place: str) -> int:
        """Return the maximum number of bytes of a value of this schema."""
        schema = resolve(self._document, schema)
        if "enum" in schema:
            return max(len(orjson.dumps(value)) for value in schema["enum"])
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                return max(self.of(one, depth=depth, place=place) for one in schema[keyword])
        if "allOf" in schema:
            return self._of_all(schema, depth, place)
        return self._of_type(schema, depth, place)

    def _of_type(self, schema: Mapping[str, Any], depth: int, place: str) -> int:
        match schema.get("type"):
            case "object":
                return self._of_object(schema, depth, place)
            case "array":
                return self._of_array(schema, depth, place)
            case "string":
                return _of_string(schema, place)
            case "integer" | "number" | "boolean":
                return _NUMBER
        raise UnboundedBodyError(f"{place}: a value of any type")

    def _of_all(self, schema: Mapping[str, Any], depth: int, place: str) -> int:
        # The value satisfies all parts, so any bounded part bounds it.
        bounds = []
        own = {key: value for key, value in schema.items() if key != "allOf"}
        for part in (own, *schema["allOf"]):
            try:
                bounds.append(self.of(part, depth=depth, place=place))
            except UnboundedBodyError:
                continue
        if not bounds:
            raise UnboundedBodyError(f"{place}: no part of allOf has a maximum size")
        return min(bounds)

    def _of_object(self, schema: Mapping[str, Any], depth: int, place: str) -> int:
        if schema.get("additionalProperties") is not False:
            raise UnboundedBodyError(f"{place}: additionalProperties is not false")
        indentation = _INDENT * (depth + 1)
        return (
            4
            + indentation
            + sum(
                # "name": value, and a line break
                len(orjson.dumps(name))
                + self.of(one, depth=depth + 1, place=f"{place}/{name}")
                + 4
                + indentation
                for name, one in schema["properties"].items()
            )
        )

    def _of_array(self, schema: Mapping[str, Any], depth: int, place: str) -> int:
        if "maxItems" not in schema:
            raise UnboundedBodyError(f"{place}: maxItems is missing")
        indentation = _INDENT * (depth + 1)
        item: int = self.of(schema["items"], depth=depth + 1, place=f"{place}/items")
        return int(4 + indentation + schema["maxItems"] * (item + 2 + indentation))


def _of_string(schema: Mapping[str, Any], place: str) -> int:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]] + 2
    if "maxLength" not in schema:
        raise UnboundedBodyError(f"{place}: maxLength is missing")
    is_ascii = "pattern" in schema and not _NON_ASCII_PATTERN.search(schema["pattern"])
    character = 1 if is_ascii else _ESCAPED_CHARACTER
    return int(schema["maxLength"]) * character + 2
