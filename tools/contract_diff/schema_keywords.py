"""Find the keywords that differ between two schemas, and whether the new one is stricter or looser.

The schemas of properties, items and alternatives are compared in `schema_changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import gt, lt
from typing import Any, Final, NamedTuple

from orderly.contract.closed_schemas import EXTENSIBLE_ENUM
from tools.contract_diff.change import Node

# Keywords whose value is one schema: of all items, or of all properties that are not listed.
SUBSCHEMAS: Final = ("items", "additionalProperties")

# Functions that return whether a new bound is stricter: `is_stricter(new, old)`.
_BOUNDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "minimum": gt,
    "minLength": gt,
    "minItems": gt,
    "minProperties": gt,
    "maximum": lt,
    "maxLength": lt,
    "maxItems": lt,
    "maxProperties": lt,
}
_BOUND_DEFAULTS: Final = {"minLength": 0, "minItems": 0, "minProperties": 0}
_FLAGS: Final = ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum")
# Keywords whose values cannot be compared: a new value may be stricter, looser, or both.
_INCOMPARABLE: Final = ("pattern", "format", "multipleOf", "not")
_DOCUMENTATION: Final = {"description", "example", "title", "externalDocs", "deprecated"}
# Compared here or in `schema_changes`, or ignored as documentation. A `discriminator` only says in
# another way which alternative a value matches.
_KNOWN: Final = {
    *(*_DOCUMENTATION, *SUBSCHEMAS, *_BOUNDS, *_FLAGS, *_INCOMPARABLE),
    *("$ref", "type", "nullable", "enum", "default"),
    *("properties", "required", "allOf", "oneOf", "anyOf", "discriminator"),
}


class Difference(NamedTuple):
    """A difference between two schemas.

    It is both stricter and looser if the values are incomparable, and neither if it breaks no
    client in either direction.
    """

    message: str
    stricter: bool  # rejects a value that was valid
    looser: bool  # accepts a value that was invalid


def keyword_differences(old: Node, new: Node) -> Iterator[Difference]:
    """Yield the differences between the keywords of two schemas."""
    yield from _type(old, new)
    yield from _enum(old, new)
    yield from _extensible_enum(old, new)
    yield from _bounds(old, new)
    yield from _flags(old, new)
    yield from _incomparable(old, new)
    yield from _subschemas(old, new)
    yield from _unknown(old, new)


def _type(old: Node, new: Node) -> Iterator[Difference]:
    old_type, new_type = old.get("type"), new.get("type")
    if old_type != new_type:
        message = _change_message("type", old_type, new_type)
        if {old_type, new_type} == {"integer", "number"}:
            # Every integer is a number.
            yield Difference(message, new_type == "integer", new_type == "number")
        else:
            yield Difference(message, new_type is not None, old_type is not None)
    nullable = bool(new.get("nullable"))
    if nullable != bool(old.get("nullable")):
        yield Difference(f"{'may' if nullable else 'must not'} be null", not nullable, nullable)


def _enum(old: Node, new: Node) -> Iterator[Difference]:
    old_values, new_values = old.get("enum"), new.get("enum")
    if old_values is None and new_values is not None:
        yield Difference(f"enum {new_values} added", stricter=True, looser=False)
    elif old_values is not None and new_values is None:
        yield Difference("enum removed", stricter=False, looser=True)
    elif old_values is not None and new_values is not None:
        for value in old_values:
            if value not in new_values:
                yield Difference(f"enum value {value!r} removed", stricter=True, looser=False)
        for value in new_values:
            if value not in old_values:
                yield Difference(f"enum value {value!r} added", stricter=False, looser=True)


def _extensible_enum(old: Node, new: Node) -> Iterator[Difference]:
    """Compare the known values of strings that may have others.

    Clients accept unknown values, so a new value breaks none. But a client may wait for a value
    that was removed, or compare with it: it was removed for both directions.
    """
    old_values, new_values = old.get(EXTENSIBLE_ENUM, ()), new.get(EXTENSIBLE_ENUM, ())
    for value in old_values:
        # A closed enum may take the place of an extensible one.
        if value not in new_values and value not in new.get("enum", ()):
            yield Difference(f"known value {value!r} removed", stricter=True, looser=True)
    for value in new_values:
        if value not in old_values and value not in old.get("enum", ()):
            yield Difference(f"known value {value!r} added", stricter=False, looser=False)


def _bounds(old: Node, new: Node) -> Iterator[Difference]:
    for keyword, is_stricter in _BOUNDS.items():
        default = _BOUND_DEFAULTS.get(keyword)
        old_bound, new_bound = old.get(keyword, default), new.get(keyword, default)
        if old_bound != new_bound:
            stricter = new_bound is not None and (
                old_bound is None or is_stricter(new_bound, old_bound)
            )
            yield Difference(_change_message(keyword, old_bound, new_bound), stricter, not stricter)


def _flags(old: Node, new: Node) -> Iterator[Difference]:
    for keyword in _FLAGS:
        old_flag, new_flag = bool(old.get(keyword)), bool(new.get(keyword))
        if old_flag != new_flag:
            yield Difference(f"{keyword} is now {str(new_flag).lower()}", new_flag, old_flag)


def _incomparable(old: Node, new: Node) -> Iterator[Difference]:
    for keyword in _INCOMPARABLE:
        old_value, new_value = (
            _without_documentation(schema.get(keyword)) for schema in (old, new)
        )
        if old_value != new_value:
            message = _change_message(keyword, old_value, new_value)
            yield Difference(message, new_value is not None, old_value is not None)


def _without_documentation(node: Any) -> Any:
    """Return a schema without its descriptions and examples."""
    if isinstance(node, Mapping):
        return {
            key: _without_documentation(value)
            for key, value in node.items()
            if key not in _DOCUMENTATION
        }
    return node


def _subschemas(old: Node, new: Node) -> Iterator[Difference]:
    """Compare the schemas of items and of unknown properties.

    A difference is a schema that was added or removed, or unknown properties that are now allowed
    or rejected.
    """
    for keyword in SUBSCHEMAS:
        old_value, new_value = old.get(keyword), new.get(keyword)
        restricted = isinstance(new_value, Mapping)
        was_restricted = isinstance(old_value, Mapping)
        # A change from or to `false` is reported below.
        if restricted != was_restricted and False not in (old_value, new_value):
            message = f"schema of {keyword} {'added' if restricted else 'removed'}"
            yield Difference(message, restricted, was_restricted)
    closed = new.get("additionalProperties") is False
    if closed != (old.get("additionalProperties") is False):
        message = f"{'rejects' if closed else 'allows'} unknown properties"
        # Not looser for a client: it must ignore unknown properties of a response.
        yield Difference(message, stricter=closed, looser=False)


def _unknown(old: Node, new: Node) -> Iterator[Difference]:
    """Treat a change of a keyword that this module does not know as stricter and looser."""
    for keyword in sorted((old.keys() | new.keys()) - _KNOWN):
        old_value, new_value = old.get(keyword), new.get(keyword)
        if old_value != new_value and not keyword.startswith("x-"):
            message = _change_message(keyword, old_value, new_value)
            yield Difference(message, stricter=True, looser=True)


def _change_message(keyword: str, old: Any, new: Any) -> str:
    return f"{keyword} changed from {old} to {new}"
