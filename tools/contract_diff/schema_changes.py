"""Find the changes between two versions of a schema, including those of nested schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orderly.contract.references import component_name, resolve
from tools.contract_diff.change import Change, Direction, Node
from tools.contract_diff.schema_keywords import SUBSCHEMAS, keyword_differences


class SchemaComparison:
    """Compares the schemas of two documents.

    Each pair of components is compared once for requests and once for responses, wherever it is
    used.
    """

    def __init__(self, before: Node, after: Node) -> None:
        self._before, self._after = before, after
        self._compared: set[tuple[str, str, Direction]] = set()

    def changes(
        self, old: Node, new: Node, location: str, direction: Direction
    ) -> Iterator[Change]:
        """Yield the changes of a schema and of all schemas inside it."""
        old, new = _as_union(old, new), _as_union(new, old)
        old_name, new_name = component_name(old), component_name(new)
        if old_name and new_name:
            if (old_name, new_name, direction) in self._compared:
                return
            self._compared.add((old_name, new_name, direction))
            location = f"{new_name} {direction.value}"
        old, new = _merged(old, self._before), _merged(new, self._after)
        for difference in keyword_differences(old, new):
            breaking = direction.is_breaking(stricter=difference.stricter, looser=difference.looser)
            yield Change(location, difference.message, breaking)
        yield from self._default(old, new, location, direction)
        yield from self._properties(old, new, location, direction)
        yield from self._alternatives(old, new, location, direction)
        for keyword in SUBSCHEMAS:
            if isinstance(old.get(keyword), Mapping) and isinstance(new.get(keyword), Mapping):
                yield from self.changes(
                    old[keyword], new[keyword], f"{location}/{keyword}", direction
                )

    def _default(
        self, old: Node, new: Node, location: str, direction: Direction
    ) -> Iterator[Change]:
        old_default, new_default = old.get("default"), new.get("default")
        if direction is Direction.REQUEST and old_default != new_default:
            message = f"default changed from {old_default!r} to {new_default!r}"
            yield Change(location, message, breaking="default" in old)

    def _properties(
        self, old: Node, new: Node, location: str, direction: Direction
    ) -> Iterator[Change]:
        old_properties, new_properties = old["properties"], new["properties"]
        is_request = direction is Direction.REQUEST
        for name in old_properties.keys() - new_properties.keys():
            breaking = not is_request or new.get("additionalProperties") is False
            yield Change(f"{location}/{name}", "property removed", breaking=breaking)
        for name in new_properties.keys() - old_properties.keys():
            required = is_request and name in new["required"]
            message = "required property added" if required else "property added"
            yield Change(f"{location}/{name}", message, breaking=required)
        for name in sorted(old_properties.keys() & new_properties.keys()):
            required = name in new["required"]
            if required != (name in old["required"]):
                message = f"is now {'required' if required else 'optional'}"
                breaking = direction.is_breaking(stricter=required, looser=not required)
                yield Change(f"{location}/{name}", message, breaking)
            yield from self.changes(
                old_properties[name], new_properties[name], f"{location}/{name}", direction
            )

    def _alternatives(
        self, old: Node, new: Node, location: str, direction: Direction
    ) -> Iterator[Change]:
        for keyword in ("oneOf", "anyOf"):
            old_list, new_list = old.get(keyword, ()), new.get(keyword, ())
            old_alternatives = _by_name(old_list, unless_in=new_list)
            new_alternatives = _by_name(new_list, unless_in=old_list)
            for name in old_alternatives.keys() - new_alternatives.keys():
                # If no alternative is left, every value is valid.
                breaking = direction.is_breaking(stricter=bool(new_list), looser=not new_list)
                yield Change(location, f"alternative {name} removed", breaking)
            for name in new_alternatives.keys() - old_alternatives.keys():
                # If there was no alternative before, every value was valid.
                breaking = direction.is_breaking(stricter=not old_list, looser=bool(old_list))
                yield Change(location, f"alternative {name} added", breaking)
            for name in old_alternatives.keys() & new_alternatives.keys():
                yield from self.changes(
                    old_alternatives[name], new_alternatives[name], f"{location}/{name}", direction
                )


def _as_union(schema: Node, other: Node) -> Node:
    """Return a reference as a union of one alternative if the other schema is a union."""
    return {"oneOf": [schema]} if "$ref" in schema and "oneOf" in other else schema


def _merged(schema: Node, document: Node) -> dict[str, Any]:
    """Return a schema with its reference resolved, and its `allOf` merged into it."""
    schema = resolve(document, schema) or {}
    own = {key: value for key, value in schema.items() if key != "allOf"}
    parts = [*(_merged(part, document) for part in schema.get("allOf", ())), own]
    merged: dict[str, Any] = {"properties": {}, "required": []}
    for part in parts:
        properties = {**merged["properties"], **part.get("properties", {})}
        required = [*merged["required"], *part.get("required", ())]
        merged.update(part, properties=properties, required=required)
    return merged


def _by_name(alternatives: Sequence[Node], *, unless_in: Sequence[Node]) -> dict[str, Node]:
    """Return alternatives by the name of their component, and inline schemas by their position.

    Unchanged inline schemas, which the other list contains too, are left out first.
    """
    selected = [schema for schema in alternatives if "$ref" in schema or schema not in unless_in]
    return {
        component_name(schema) or f"number {number}": schema
        for number, schema in enumerate(selected, 1)
    }
