"""References and JSON pointers."""

from __future__ import annotations

from typing import Any

import pytest

from orderly.contract.references import component_name, escape, find, resolve

DOCUMENT: dict[str, Any] = {
    "paths": {"/a~b": {"tags": ["first", "second"]}},
    "components": {"schemas": {"Alias": {"$ref": "#/components/schemas/Order"}, "Order": {"x": 1}}},
}


def test_resolve_follows_references_to_the_end() -> None:
    assert {"x": 1} == resolve(DOCUMENT, {"$ref": "#/components/schemas/Alias"})


@pytest.mark.parametrize("node", [{"type": "string"}, None, "text"])
def test_resolve_returns_a_node_that_is_not_a_reference(node: Any) -> None:
    assert node == resolve(DOCUMENT, node)


def test_component_name_is_the_last_token_of_the_reference() -> None:
    assert "Order" == component_name({"$ref": "#/components/schemas/Order"})
    assert "" == component_name({"type": "object"})


def test_find_unescapes_keys_and_counts_list_items_from_0() -> None:
    assert "second" == find(DOCUMENT, "/paths/~1a~0b/tags/1")
    assert DOCUMENT == find(DOCUMENT, "")


def test_escape_produces_a_token_that_find_reads() -> None:
    assert "~1a~0b" == escape("/a~b")


@pytest.mark.parametrize("pointer", ["/paths/~1c", "/paths/~1a~0b/tags/2", "/paths/~1a~0b/tags/x"])
def test_find_raises_lookup_error_if_there_is_nothing(pointer: str) -> None:
    with pytest.raises(LookupError):
        find(DOCUMENT, pointer)
