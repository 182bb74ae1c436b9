"""Schemas avoid the forms that generators of clients refuse, or for which they have no type.

The forms that replaced them accept the same values: docs/decisions/2026-11-28-generated-clients.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from orderly.contract.schemas import CompiledSchema
from tests.support.contract import RESOLVED, Node, schemas

RESOLVED_SCHEMAS = RESOLVED["components"]["schemas"]


def pointers(condition: Callable[[Node], object]) -> list[str]:
    """Return the pointers of the schemas that meet a condition."""
    return [pointer for pointer, schema in schemas() if condition(schema)]


def test_an_enum_has_null_only_as_an_alternative_of_its_own() -> None:
    # openapi-zod-client: `z.enum([..., null])` does not compile.
    assert [] == pointers(
        lambda schema: None in schema.get("enum", ()) and schema["enum"] != [None]
    )


def test_only_an_object_has_a_not() -> None:
    # swagger-typescript-api gives a number with `not` the type `any`.
    assert [] == pointers(lambda schema: "not" in schema and schema["type"] != "object")


def test_a_file_is_binary_without_a_length_in_requests_and_a_string_in_responses() -> None:
    # hey-api returns a file as a string. openapi-zod-client: `z.instanceof(File).max()` does not
    # compile. openapi-python-client sends only JSON, forms and `binary`.
    files = [pointer for pointer, schema in schemas() if schema.get("format") == "binary"]

    assert ["#/components/schemas/ProductFile"] == files
    assert "maxLength" not in RESOLVED_SCHEMAS["ProductFile"]


def test_a_member_of_a_body_has_no_default() -> None:
    # openapi-typescript makes a member with a default required.
    assert [] == pointers(
        lambda schema: any("default" in member for member in schema.get("properties", {}).values())
    )


def nullable_enum(*values: str) -> Node:
    return {"type": "string", "nullable": True, "enum": [*values, None]}


FORMER_STOCK_CHANGE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["delta", "reason"],
    "properties": {
        "delta": {
            "type": "integer",
            "minimum": -1_000_000,
            "maximum": 1_000_000,
            "not": {"type": "integer", "minimum": 0, "maximum": 0},
        },
        "reason": RESOLVED_SCHEMAS["StockAdjustmentReason"],
    },
}
STATUSES = ["PENDING", "PAID", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED"]
ANY_VALUE = strategies.sampled_from([None, "", "null", "pending", "LOST", 0, 1, False, [], {}])
NUMBERS = strategies.one_of(
    strategies.integers(-1_000_002, 1_000_002),
    strategies.sampled_from([0, -0.0, 0.0, 1.0, 0.5, 1_000_000, 1_000_001, -1_000_000, -1_000_001]),
    ANY_VALUE,
)
CHANGES = strategies.one_of(
    ANY_VALUE,
    strategies.fixed_dictionaries(
        {},
        optional={
            "delta": NUMBERS,
            "reason": strategies.sampled_from(["FOUND", "LOST", "STOLEN", None]),
            "note": ANY_VALUE,
        },
    ),
    strategies.fixed_dictionaries({"delta": NUMBERS, "reason": strategies.just("FOUND")}),
)


@pytest.mark.parametrize(
    ("former", "schema", "name", "values"),
    [
        (
            nullable_enum(*STATUSES),
            "OrderEvent",
            "from_status",
            strategies.sampled_from(STATUSES) | ANY_VALUE,
        ),
        *(
            (
                nullable_enum("CLIENT", "ADMIN"),
                "SecurityEvent",
                name,
                strategies.sampled_from(["CLIENT", "ADMIN"]) | ANY_VALUE,
            )
            for name in ("from_role", "to_role")
        ),
        (FORMER_STOCK_CHANGE, "StockChange", "", CHANGES),
    ],
)
@given(data=strategies.data())
@settings(max_examples=300, deadline=None, database=None)
def test_the_form_for_generators_accepts_the_same_values_as_the_former_one(
    former: Node,
    schema: str,
    name: str,
    values: strategies.SearchStrategy[Any],
    data: strategies.DataObject,
) -> None:
    current = RESOLVED_SCHEMAS[schema]
    value = data.draw(values)

    assert CompiledSchema(current["properties"][name] if name else current).accepts(
        value
    ) is CompiledSchema(former).accepts(value)
