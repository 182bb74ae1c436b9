"""JSON references within a document, such as `{"$ref": "#/components/schemas/Order"}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """Return the node that a reference points to, or the node itself if it is not a reference.

    Raises:
        LookupError: the reference points to nothing in the document.
    """
    while isinstance(node, Mapping) and "$ref" in node:
        node = find(document, node["$ref"].removeprefix("#"))
    return node


def component_name(node: Mapping[str, Any]) -> str:
    """Return the name of the component that a node refers to, or "" if it is not a reference."""
    return str(node.get("$ref", "")).rpartition("/")[2]


def find(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer (RFC 6901), such as `/components/schemas/Order`.

    Raises:
        LookupError: the pointer points to nothing in the document.
    """
    node = document
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdecimal():
            node = node[int(key)]
        elif isinstance(node, Mapping):
            node = node[key]
        else:
            raise KeyError(pointer)
    return node


def escape(key: object) -> str:
    """Return a key as one token of a JSON pointer (RFC 6901, section 3)."""
    return str(key).replace("~", "~0").replace("/", "~1")
