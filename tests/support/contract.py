"""Iterate over the operations, bodies and schemas of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pytest

from orderly.contract.document import load
from orderly.verification.contract import Contract, Node, codes_in

__all__ = [
    "CONTRACT",
    "DOCUMENT",
    "RESOLVED",
    "Node",
    "codes_in",
    "each",
    "media_types",
    "operations",
    "parameter_names",
    "schemas",
    "schemas_in",
]

NamedNodes = Iterator[tuple[str, Node]]

CONTRACT = Contract(load())
DOCUMENT = CONTRACT.document
# The same document with all references resolved.
RESOLVED = CONTRACT.resolved

_METHODS = ("get", "put", "post", "patch", "delete")


def operations() -> NamedNodes:
    """Yield each operation under its operationId, with its method, its path and all parameters."""
    yield from CONTRACT.operations.items()


def media_types() -> NamedNodes:
    """Yield the content of each request and response body."""
    for operation_id, operation in operations():
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                yield f"{operation_id} {place} {media_type}", content


def schemas() -> NamedNodes:
    """Yield each schema of the document, except references, under its JSON pointer."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        yield from _with_subschemas(schema, f"#/components/schemas/{name}")
    for section in ("paths", "components"):
        for pointer, schema in _inline_schemas(DOCUMENT[section], f"#/{section}"):
            yield from _with_subschemas(schema, pointer)


def schemas_in(part: Literal["requests", "responses"]) -> set[str]:
    """Return the names of the schemas to which requests or responses refer, also indirectly."""
    names: set[str] = set()
    for path_item in DOCUMENT["paths"].values():
        for method, operation in path_item.items():
            is_response = part == "responses"
            if method in _METHODS:
                keys = {"responses"} if is_response else operation.keys() - {"responses"}
                _add_schemas([operation[key] for key in keys if key in operation], names)
            elif not is_response:
                _add_schemas(operation, names)
    return names


def _add_schemas(node: Any, names: set[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _add_schemas(item, names)
    elif isinstance(node, dict) and "$ref" in node:
        section, name = node["$ref"].split("/")[-2:]
        if section != "schemas" or name not in names:
            names |= {name} if section == "schemas" else set()
            _add_schemas(DOCUMENT["components"][section][name], names)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in {"examples", "links"}:
                _add_schemas(value, names)


def _inline_schemas(node: Any, pointer: str) -> NamedNodes:
    """Yield the value of each `schema` keyword."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "schema":
                yield f"{pointer}/schema", value
            elif key not in {"schemas", "examples", "links"}:
                yield from _inline_schemas(value, f"{pointer}/{str(key).replace('/', '~1')}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _inline_schemas(item, f"{pointer}/{index}")


def _with_subschemas(schema: Node, pointer: str) -> NamedNodes:
    if "$ref" in schema:
        return
    yield pointer, schema
    for name, subschema in schema.get("properties", {}).items():
        yield from _with_subschemas(subschema, f"{pointer}/properties/{name}")
    for keyword in ("allOf", "oneOf"):
        for index, subschema in enumerate(schema.get(keyword, [])):
            yield from _with_subschemas(subschema, f"{pointer}/{keyword}/{index}")
    for keyword in ("items", "not"):
        if keyword in schema:
            yield from _with_subschemas(schema[keyword], f"{pointer}/{keyword}")


def parameter_names(operation: Node, location: str) -> set[str]:
    """Return the names of an operation's parameters in one location, such as "query"."""
    return {
        parameter["name"] for parameter in operation["parameters"] if parameter["in"] == location
    }


def each(named_nodes: Iterable[tuple[str, Node]]) -> pytest.MarkDecorator:
    """Run a test once for each node, passed as `node`; the names become the test ids."""
    cases = list(named_nodes)
    return pytest.mark.parametrize(
        "node", [node for _, node in cases], ids=[name for name, _ in cases]
    )
