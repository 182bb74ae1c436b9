"""The contract as its tests read it: every operation, body and schema, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from connexion.spec import Specification

from orderly.contract.document import load
from tests.support.processes import ROOT

Node = Mapping[str, Any]
Found = Iterator[tuple[str, Node]]

DOCUMENT = load()
# The same document with every reference replaced by what it refers to.
RESOLVED = Specification.load(load()).spec

# Redocly, which `npm ci --prefix tests/contract/tools` installs.
LINTER = ROOT / "tests" / "contract" / "tools" / "node_modules" / ".bin" / "redocly"

_METHODS = ("get", "put", "post", "patch", "delete")


def operations() -> Found:
    """Every operation by its id, with the parameters of its path among its own."""
    for path, item in RESOLVED["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                yield (
                    operation["operationId"],
                    {**operation, "parameters": parameters, "method": method, "path": path},
                )


def media_types() -> Found:
    """Every body of a request or response."""
    for name, operation in operations():
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                yield f"{name} {place} {media_type}", content


def schemas() -> Found:
    """Every schema that is written out anywhere, by its place."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        yield from _within(schema, f"#/components/schemas/{name}")
    for section in ("paths", "components"):
        for place, schema in _inline(DOCUMENT[section], f"#/{section}"):
            yield from _within(schema, place)


def _inline(node: Any, place: str) -> Found:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "schema":
                yield f"{place}/schema", value
            elif key not in {"schemas", "examples", "links"}:
                yield from _inline(value, f"{place}/{str(key).replace('/', '~1')}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _inline(item, f"{place}/{index}")


def _within(schema: Node, place: str) -> Found:
    if "$ref" in schema:
        return
    yield place, schema
    for name, member in schema.get("properties", {}).items():
        yield from _within(member, f"{place}/properties/{name}")
    for combination in ("allOf", "oneOf"):
        for index, part in enumerate(schema.get(combination, [])):
            yield from _within(part, f"{place}/{combination}/{index}")
    for keyword in ("items", "not"):
        if keyword in schema:
            yield from _within(schema[keyword], f"{place}/{keyword}")


def parameter_names(operation: Node, place: str) -> set[str]:
    """The names of an operation's parameters of one kind."""
    return {one["name"] for one in operation["parameters"] if one["in"] == place}


def each(found: Iterable[tuple[str, Node]]) -> pytest.MarkDecorator:
    """Test each of these, under its name."""
    cases = list(found)
    return pytest.mark.parametrize(
        "node", [node for _, node in cases], ids=[name for name, _ in cases]
    )
