"""The size of a request body, and the work to check it, are bounded by the operation's schema."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderly.contract.body_size import UnboundedBodyError, max_json_bytes
from orderly.contract.schemas import MAX_VIOLATIONS, CompiledSchema
from tests.support.contract import Node, operations

KIBIBYTE = 1024
BODIES: dict[str, Node] = {
    name: operation["requestBody"]["content"]["application/json"]["schema"]
    for name, operation in operations()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
    and "x-raw-body" not in operation["requestBody"]
}
ANY_BODY = pytest.mark.parametrize("schema", BODIES.values(), ids=BODIES.keys())


@pytest.mark.parametrize(
    ("operation_id", "kibibytes"), [("login", 2), ("create_order", 32), ("update_user", 1)]
)
def test_the_limit_follows_from_the_schema(operation_id: str, kibibytes: int) -> None:
    assert kibibytes * KIBIBYTE == max_json_bytes({}, BODIES[operation_id])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": False, "properties": {"any": {}}},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "string"}, {"description": "unbounded"}]},
    ],
)
def test_a_schema_without_a_maximum_is_refused(schema: Node) -> None:
    with pytest.raises(UnboundedBodyError, match="body"):
        max_json_bytes({}, schema)


EMOJI = "\U0001f600"  # twelve bytes when escaped
LARGEST: dict[str, Any] = {
    "create_product": {
        "sku": "A" * 64,
        "name": EMOJI * 200,
        "description": EMOJI * 5000,
        "price": {"amount": 1_000_000_000, "currency": "EUR"},
        "stock": 1_000_000_000,
        "images": [{"url": f"https://x/{'a' * 490}", "alt": EMOJI * 200}] * 8,
    },
    "create_order": {
        "items": [{"product_id": str(UUID(int=1)), "quantity": 999}] * 100,
        "shipping_address": {
            "recipient": EMOJI * 100,
            "street": EMOJI * 100,
            "addition": EMOJI * 100,
            "postal_code": "A" * 16,
            "city": EMOJI * 100,
            "region": EMOJI * 100,
            "country": "DE",
        },
        "note": EMOJI * 1000,
    },
}


@pytest.mark.parametrize("operation_id", LARGEST)
def test_the_largest_valid_body_fits_even_if_indented_and_escaped(operation_id: str) -> None:
    schema, body = BODIES[operation_id], LARGEST[operation_id]
    assert CompiledSchema(schema).violations(body) == []

    size = len(json.dumps(body, indent=4))
    assert size <= max_json_bytes({}, schema) < size + 4 * KIBIBYTE


def similar(schema: Node) -> st.SearchStrategy[Any]:
    """Return values that have the schema's property names in places where they may be wrong."""
    names = st.sampled_from(sorted(property_names(schema))) | st.text(max_size=3)
    scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner) | st.dictionaries(names, inner),
        max_leaves=30,
    )


def property_names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(property_names, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(property_names, schema.values()))


@ANY_BODY
@given(data=st.data())
# On a loaded machine, large bodies take long to generate.
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_invalid_body_has_between_1_and_20_violations(
    schema: Node, data: st.DataObject
) -> None:
    compiled = CompiledSchema(schema)
    body = data.draw(similar(schema))

    expected = range(1) if compiled.accepts(body) else range(1, MAX_VIOLATIONS + 1)
    assert len(compiled.violations(body)) in expected


@ANY_BODY
def test_of_many_unknown_members_20_are_listed(schema: Node) -> None:
    body = {f"unknown{number}": 0 for number in range(100_000)}

    violations = CompiledSchema(schema).violations(body)

    assert MAX_VIOLATIONS >= len(violations)
    assert "unknown" in {one.code for one in violations}


def test_the_last_item_of_an_array_is_checked() -> None:
    item = {"product_id": str(UUID(int=1)), "quantity": 1}
    body = {"items": [item] * 99 + [{**item, "quantity": 0}]}

    (violation,) = CompiledSchema(BODIES["create_order"]).violations(body)

    assert ("items", 99, "quantity") == violation.path
