"""Resolves references within a document: `{"$ref": "#/components/schemas/Order"}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """Return the node, or, if it is a reference, the node that it refers to.

    Raises:
        LookupError: the document has nothing at the reference.
    """
    while isinstance(node, Mapping) and "$ref" in node:
        node = find(document, node["$ref"].removeprefix("#"))
    return node


def find(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points to in a document.

    Raises:
        LookupError: the document has nothing there.
    """
    node = document
    for token in pointer.split("/")[1:]:
        key = unescape(token)
        if isinstance(node, list) and key.isdecimal():
            node = node[int(key)]
        elif isinstance(node, Mapping):
            node = node[key]
        else:
            raise KeyError(pointer)
    return node


def escape(key: object) -> str:
    """Return a key as a token of a JSON pointer (RFC 6901, section 3)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def unescape(token: str) -> str:
    """Return the key that `escape` made this token of."""
    return token.replace("~1", "/").replace("~0", "~")
