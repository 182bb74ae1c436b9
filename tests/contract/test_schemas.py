"""Every schema of the contract follows the conventions: types, bounds, names and patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings, strategies

from domain import order_status, payments
from orderly.contract.references import component_name
from orderly.contract.schemas import CompiledSchema
from services import product_files, stock
from tests.support.contract import (
    DOCUMENT,
    RESOLVED,
    NamedNodes,
    Node,
    each,
    operations,
    parameter_names,
    schemas,
    schemas_in,
)

SCHEMAS = DOCUMENT["components"]["schemas"]
RESOLVED_SCHEMAS = RESOLVED["components"]["schemas"]
MAX_SAFE_INTEGER = 2**53 - 1  # of a double, so of JavaScript

# The name of a parameter as the client sent it: any text.
FREE_TEXT = {
    "#/components/schemas/ProblemError/properties/parameter",
    "#/components/schemas/SandboxMail/properties/html",
    "#/components/schemas/SandboxMail/properties/text",
}
# An export has as many rows as there are orders or products. `x-max-bytes` limits an import.
UNBOUNDED = {
    f"#/components/schemas/{name}" for name in ("OrderExport", "ProductExport", "ProductFile")
}
# A notification has the format of its provider.
OPEN_REQUESTS = {"ProviderNotification"}
IN_REQUESTS = schemas_in("requests")
IN_RESPONSES = schemas_in("responses")


@each((pointer, schema) for pointer, schema in schemas() if pointer not in UNBOUNDED)
def test_every_schema_has_a_type_and_bounds(node: Node) -> None:
    kind = node.get("type")
    if kind == "string" and "enum" not in node:
        assert node["maxLength"] > 0
    elif kind == "integer":
        assert node["format"] in {"int32", "int64"}
        assert node["minimum"] <= node["maximum"] <= MAX_SAFE_INTEGER
        assert node["format"] == "int64" or node["maximum"] < 2**31
    elif kind == "array":
        assert node["maxItems"] > 0
        assert "items" in node
    elif kind == "object":
        assert set(node.get("required", ())) <= _members(node)
    else:
        assert kind in {"string", "boolean"} or node.keys() & {"allOf", "oneOf", "required"}


def _members(node: Node) -> set[str]:
    parts = [SCHEMAS[component_name(part)] for part in node.get("allOf", ())]
    return set(node["properties"]).union(*(part["properties"] for part in parts))


def test_every_string_has_a_pattern_format_or_enum() -> None:
    free_text = {
        pointer
        for pointer, schema in schemas()
        if schema.get("type") == "string" and not schema.keys() & {"enum", "pattern", "format"}
    }

    assert free_text == FREE_TEXT


@each((name, SCHEMAS[name]) for name in sorted(IN_REQUESTS - OPEN_REQUESTS))
def test_an_object_of_a_request_rejects_unknown_properties(node: Node) -> None:
    assert node.get("type") != "object" or node["additionalProperties"] is False


@each((name, SCHEMAS[name]) for name in sorted(IN_RESPONSES))
def test_an_object_of_a_response_can_get_more_properties(node: Node) -> None:
    # `true` would also allow this, but generated types would then accept any name.
    assert "additionalProperties" not in node


def test_every_schema_is_for_requests_or_responses_or_lists_known_values() -> None:
    known_values = {tuple(schema["x-extensible-enum"]) for _, schema in extensible_enums()}
    others = SCHEMAS.keys() - IN_REQUESTS - IN_RESPONSES

    assert all(tuple(SCHEMAS[name]["enum"]) in known_values for name in others)


def extensible_enums() -> NamedNodes:
    """Yield the strings that can have more values in later versions."""
    return ((pointer, node) for pointer, node in schemas() if "x-extensible-enum" in node)


@each(extensible_enums())
def test_the_known_values_of_an_extensible_enum_are_also_a_closed_schema(node: Node) -> None:
    enums = [schema.get("enum") for schema in SCHEMAS.values()]

    assert 1 == enums.count(node["x-extensible-enum"])
    assert CompiledSchema(node).accepts("A_VALUE_OF_A_LATER_VERSION")


def test_only_responses_have_extensible_enums() -> None:
    in_responses = {f"#/components/schemas/{name}" for name in IN_RESPONSES - IN_REQUESTS}

    assert {
        pointer.partition("/properties")[0] for pointer, _ in extensible_enums()
    } <= in_responses


@pytest.mark.parametrize(
    ("request_schema", "response_schema"),
    [("NewPrice", "Price"), ("OrderRequestAddress", "ShippingAddress")],
)
def test_a_request_and_a_response_with_the_same_members_differ_in_being_closed(
    request_schema: str, response_schema: str
) -> None:
    closed, opened = dict(SCHEMAS[request_schema]), dict(SCHEMAS[response_schema])
    del closed["description"], opened["description"]

    assert closed == {**opened, "additionalProperties": False}


def test_every_object_is_a_component() -> None:
    # So that generated clients have a name for it, and no schema is written twice.
    inline = {
        pointer
        for pointer, schema in schemas()
        if schema.get("type") == "object" and not re.fullmatch(r"#/components/schemas/\w+", pointer)
    }

    assert inline == set()


@each(SCHEMAS.items())
def test_a_schema_and_its_properties_have_descriptions(node: Node) -> None:
    assert node["description"].endswith((".", "`"))
    for name, subschema in node.get("properties", {}).items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert "$ref" in subschema or subschema.get("description") or name == "currency"


PATTERNS = sorted({node["pattern"] for _, node in schemas() if "pattern" in node})


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=strategies.data())
@settings(max_examples=20, deadline=None, database=None)
def test_a_pattern_has_the_same_meaning_in_python_rust_and_javascript(
    pattern: str, data: strategies.DataObject
) -> None:
    # Look-around, inline flags, Unicode properties and classes such as \w differ between engines.
    assert re.fullmatch(r"\^.+\$", pattern)
    assert not re.search(r"\(\?|\\[^ntu.*\[\]-]", pattern)

    text = data.draw(strategies.from_regex(pattern, fullmatch=True))

    assert CompiledSchema({"type": "string", "pattern": pattern}).accepts(text)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=strategies.data())
@settings(max_examples=20, deadline=None, database=None)
def test_a_pattern_rejects_control_characters(pattern: str, data: strategies.DataObject) -> None:
    text = data.draw(strategies.from_regex(pattern, fullmatch=True))
    position = data.draw(strategies.integers(0, len(text)))
    control = data.draw(strategies.sampled_from("\0\x01\b\v\f\r\x1b\x1f\x7f"))
    accepts = CompiledSchema({"type": "string", "pattern": pattern}).accepts

    assert not accepts(text[:position] + control + text[position:])


@pytest.mark.parametrize("name", ["PersonName", "ProductName"])
@pytest.mark.parametrize("text", ["", " ", "\u3000", "\u200b", " A", "A\u00a0", "A\n", "A\tB"])
def test_a_name_is_one_line_of_visible_text(name: str, text: str) -> None:
    accepts = CompiledSchema(RESOLVED_SCHEMAS[name]).accepts

    assert not accepts(text)
    assert all(map(accepts, ["A", "Ó", "Zoë van der Meer", "李小龍", "Kaffee 🫘"]))


@pytest.mark.parametrize(
    ("email", "valid"),
    [
        ("ada@example.com", True),
        ("Ada.Lovelace+shop@mail.example.co.uk", True),
        ("o'neill@example.org", True),
        ("a@xn--bcher-kva.xn--p1ai", True),
        (f"{'a' * 64}@example.com", True),
        (f"{'a' * 65}@example.com", False),
        ("ada@example", False),
        ("ada@example.com\n", False),
        ("a..b@example.com", False),
        (".a@example.com", False),
        ("ada@-example.com", False),
        ("ada lovelace@example.com", False),
        ("ada@localhost@example.com", False),
    ],
)
def test_an_email_address_can_receive_mail(email: str, valid: bool) -> None:
    assert CompiledSchema(RESOLVED_SCHEMAS["Email"]).accepts(email) is valid


@each(
    (operation_id, operation)
    for operation_id, operation in operations()
    if parameter_names(operation, "header")
)
def test_conditional_and_idempotency_headers_have_lenient_patterns(node: Node) -> None:
    # An invalid entity tag is not an error: it matches nothing.
    tags = ['"1"', '"3.18"', 'W/"1"', "*", '"1", "2" ,\tW/"3"', '""', "1"]
    accepted = {
        "If-Match": tags,
        "If-None-Match": tags,
        "Idempotency-Key": ['"abc"', "abc", "a" * 255, f'"{"a" * 255}"'],
    }
    rejected = {
        "If-Match": ["", " ", "é", '"1"\n'],
        "If-None-Match": ["", " ", "é", '"1"\n'],
        "Idempotency-Key": ["", '""', '"abc', "a b", "a" * 256, "é", '"a"b"'],
    }
    for parameter in node["parameters"]:
        if parameter["in"] == "header":
            accepts = CompiledSchema(parameter["schema"]).accepts
            assert all(map(accepts, accepted[parameter["name"]]))
            assert not any(map(accepts, rejected[parameter["name"]]))


def test_the_contract_has_the_order_statuses_of_the_domain() -> None:
    statuses = list(order_status.STATUSES)

    assert SCHEMAS["OrderStatus"]["enum"] == statuses


def machine(schema: str) -> Node:
    found: Node = SCHEMAS[schema]["x-state-machine"]
    assert found["initial"] == "PENDING"
    assert len(transitions_of(found)) == len(set(transitions_of(found)))
    return found


def transitions_of(found: Node) -> list[tuple[str, str]]:
    return [(one["from"], one["to"]) for one in found["transitions"]]


def test_the_state_machine_of_the_order_equals_that_of_the_domain() -> None:
    assert {
        (one["from"], one["to"]): set(one["by"]) for one in machine("OrderStatus")["transitions"]
    } == {
        transition: {party.value for party in parties}
        for transition, parties in order_status.TRANSITIONS.items()
    }


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        ("PaymentStatus", payments.PAYMENT_TRANSITIONS),
        ("RefundStatus", payments.REFUND_TRANSITIONS),
    ],
)
def test_the_state_machines_of_payments_and_refunds_equal_those_of_the_domain(
    schema: str, table: Mapping[str, frozenset[str]]
) -> None:
    expected = {(current, target) for current, targets in table.items() for target in targets}

    assert set(SCHEMAS[schema]["enum"]) == {*table}
    assert set(transitions_of(machine(schema))) == expected


def test_tracking_numbers_in_requests_and_responses_have_the_same_schema() -> None:
    # An order's is written out, since in OpenAPI 3.0 a reference cannot be nullable.
    keywords = {"type", "minLength", "maxLength", "pattern"}
    in_order = SCHEMAS["Order"]["properties"]["tracking_number"]

    assert {keyword: in_order[keyword] for keyword in keywords} == {
        keyword: SCHEMAS["TrackingNumber"][keyword] for keyword in keywords
    }


def test_only_the_status_shipped_accepts_a_tracking_number() -> None:
    accepts = CompiledSchema(RESOLVED_SCHEMAS["OrderStatusChange"]).accepts

    for status in order_status.STATUSES:
        assert accepts({"status": status})
        assert accepts({"status": status, "tracking_number": "1Z"}) is (status == "SHIPPED")


def test_the_total_of_the_largest_order_is_a_valid_amount() -> None:
    lines = SCHEMAS["OrderRequest"]["properties"]["items"]["maxItems"]
    quantity = SCHEMAS["Quantity"]["maximum"]
    price = SCHEMAS["Price"]["properties"]["amount"]["maximum"]

    assert lines * quantity * price <= SCHEMAS["Money"]["properties"]["amount"]["maximum"]


def test_bounds_in_the_code_equal_bounds_in_the_contract() -> None:
    assert stock.MAX_STOCK == SCHEMAS["NewProduct"]["properties"]["stock"]["maximum"]
    assert stock.MAX_STOCK == SCHEMAS["StockCount"]["properties"]["set_to"]["maximum"]
    assert product_files.MAX_PRICE == SCHEMAS["Price"]["properties"]["amount"]["maximum"]
