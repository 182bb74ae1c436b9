"""Resolve `$ref` in a document whose references all point into itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.contract_diff.change import Node


def resolve(node: Any, document: Node) -> Any:
    """Return the node that a reference points to, or the node itself; `{}` for an absent node."""
    while isinstance(node, Mapping) and "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node or {}


def component_name(node: Node) -> str:
    """Return the name of the component that a node refers to, or "" if it is not a reference."""
    return str(node.get("$ref", "")).rpartition("/")[2]
