"""Find the changes between two OpenAPI documents, and which of them break working clients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tools.contract_diff.change import Change, Node
from tools.contract_diff.operation_changes import OperationComparison

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SCHEME_KEYS: Final = ("type", "in", "name", "scheme")


def compare(before: Node, after: Node) -> list[Change]:
    """Return the changes that a client can notice, breaking changes first.

    A change is breaking if it may break a client that conforms to `before`: the server may reject
    what the client sends, or return something that `before` did not document, or omit something
    that the client reads; or a client generated from `after` has other names.

    Descriptions and examples are not compared.
    """
    # A set, because the change of a shared component is found once for each use.
    changes = {
        *_server_changes(before, after),
        *_security_scheme_changes(before, after),
        *_removed_schemas(before, after),
        *_operation_changes(before, after),
    }
    return sorted(
        changes, key=lambda change: (not change.breaking, change.location, change.message)
    )


def version_error(before: Node, after: Node, changes: list[Change]) -> str | None:
    """Return why the new version number is wrong, or None if it is right.

    Semantic Versioning: a breaking change needs a new major version or, before 1.0, a new minor
    version.
    """
    old, new = (_version(document["info"]["version"]) for document in (before, after))
    if new < old:
        return f"the version went back from {_dotted(old)} to {_dotted(new)}"
    if not any(change.breaking for change in changes):
        return None
    major, minor, _ = old
    lowest = (0, minor + 1, 0) if major == 0 else (major + 1, 0, 0)
    if new < lowest:
        return f"there are breaking changes: the version must be at least {_dotted(lowest)}"
    return None


def _version(text: str) -> tuple[int, int, int]:
    major, minor, patch = text.partition("-")[0].split(".")
    return int(major), int(minor), int(patch)


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _server_changes(before: Node, after: Node) -> Iterator[Change]:
    old, new = (
        {server["url"] for server in document.get("servers", ())} for document in (before, after)
    )
    for url in old - new:
        yield Change("servers", f"{url} removed", breaking=True)
    for url in new - old:
        yield Change("servers", f"{url} added", breaking=False)


def _security_scheme_changes(before: Node, after: Node) -> Iterator[Change]:
    old, new = (_components(document, "securitySchemes") for document in (before, after))
    for name in old.keys() & new.keys():
        for key in _SCHEME_KEYS:
            old_value, new_value = old[name].get(key), new[name].get(key)
            if old_value != new_value:
                message = f"{key} changed from {old_value} to {new_value}"
                yield Change(f"security scheme {name}", message, breaking=True)


def _removed_schemas(before: Node, after: Node) -> Iterator[Change]:
    """Yield the removed schemas: generated clients have types with their names."""
    old, new = (_components(document, "schemas") for document in (before, after))
    for name in old.keys() - new.keys():
        yield Change("schemas", f"{name} removed or renamed", breaking=True)


def _components(document: Node, section: str) -> Node:
    components: Node = document.get("components", {}).get(section, {})
    return components


def _operation_changes(before: Node, after: Node) -> Iterator[Change]:
    old, new = _operations(before), _operations(after)
    for key in old.keys() - new.keys():
        yield Change(_label(key), "operation removed", breaking=True)
    for key in new.keys() - old.keys():
        yield Change(_label(key), "operation added", breaking=False)
    comparison = OperationComparison(before, after)
    for key in sorted(old.keys() & new.keys()):
        yield from comparison.changes(old[key], new[key], _label(key))


def _operations(document: Node) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each operation, with the parameters of its path item, by path and method.

    The keys omit the names of path parameters: a renamed path parameter is then a change of a
    parameter, not of the operation.
    """
    return {
        (re.sub(r"\{[^}]*\}", "{}", path), method): {
            **path_item[method],
            "parameters": [
                *path_item.get("parameters", ()),
                *path_item[method].get("parameters", ()),
            ],
        }
        for path, path_item in document["paths"].items()
        for method in _METHODS
        if method in path_item
    }


def _label(key: tuple[str, str]) -> str:
    path, method = key
    return f"{method.upper()} {path}"
