"""The conventions of the contract's schemas, and what its patterns let through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies

from domain import order_status
from orderly.contract.schemas import CompiledSchema
from services import product_files, stock
from tests.support.contract import (
    DOCUMENT,
    RESOLVED,
    Node,
    each,
    operations,
    parameter_names,
    schemas,
)

SCHEMAS = DOCUMENT["components"]["schemas"]
RESOLVED_SCHEMAS = RESOLVED["components"]["schemas"]
LARGEST_EXACT_NUMBER = 2**53 - 1

# A parameter's name as the request spells it can be any text.
FREE_TEXT = {"#/components/schemas/ProblemError/properties/parameter"}
# A file is as long as there are orders or products in it.
ENDLESS = {"#/components/schemas/OrderExport", "#/components/schemas/ProductExport"}
# Facts may be added to problems at any time, so clients must not take them for closed.
OPEN_OBJECTS = {"#/components/schemas/Problem"}


@each((place, schema) for place, schema in schemas() if place not in ENDLESS)
def test_every_value_has_a_type_and_bounds(node: Node) -> None:
    kind = node.get("type")
    if kind == "string" and "enum" not in node:
        assert node["maxLength"] > 0
    elif kind == "integer":
        assert node["format"] in {"int32", "int64"}
        assert node["minimum"] <= node["maximum"] <= LARGEST_EXACT_NUMBER
        assert node["format"] == "int64" or node["maximum"] < 2**31
    elif kind == "array":
        assert node["maxItems"] > 0
        assert "items" in node
    elif kind == "object":
        assert set(node.get("required", ())) <= node["properties"].keys()
    else:
        assert kind in {"string", "boolean"} or node.keys() & {"allOf", "oneOf", "required"}


def test_every_text_has_a_form() -> None:
    formless = {
        place
        for place, schema in schemas()
        if schema.get("type") == "string" and not schema.keys() & {"enum", "pattern", "format"}
    }

    assert formless == FREE_TEXT


def test_every_object_is_closed() -> None:
    open_objects = {
        place
        for place, schema in schemas()
        if schema.get("type") == "object" and schema["additionalProperties"] is not False
    }

    assert open_objects == OPEN_OBJECTS


def test_every_object_has_a_name() -> None:
    # So that generated clients have one for it, and none is written down twice.
    nameless = {
        place
        for place, schema in schemas()
        if schema.get("type") == "object" and not re.fullmatch(r"#/components/schemas/\w+", place)
    }

    assert nameless == set()


@each(SCHEMAS.items())
def test_a_schema_and_its_members_are_described(node: Node) -> None:
    assert node["description"].endswith((".", "`"))
    for name, member in node.get("properties", {}).items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert "$ref" in member or member.get("description") or name == "currency"


PATTERNS = sorted({node["pattern"] for _, node in schemas() if "pattern" in node})


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=strategies.data())
@settings(max_examples=20, deadline=None, database=None)
def test_a_pattern_means_the_same_to_python_rust_and_browsers(
    pattern: str, data: strategies.DataObject
) -> None:
    # Look-around, inline flags, properties and class escapes differ from engine to engine.
    assert re.fullmatch(r"\^.+\$", pattern)
    assert not re.search(r"\(\?|\\[^ntu.*\[\]-]", pattern)

    text = data.draw(strategies.from_regex(pattern, fullmatch=True))

    assert CompiledSchema({"type": "string", "pattern": pattern}).accepts(text)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=strategies.data())
@settings(max_examples=20, deadline=None, database=None)
def test_a_pattern_lets_no_control_character_through(
    pattern: str, data: strategies.DataObject
) -> None:
    text = data.draw(strategies.from_regex(pattern, fullmatch=True))
    position = data.draw(strategies.integers(0, len(text)))
    control = data.draw(strategies.sampled_from("\0\x01\b\v\f\r\x1b\x1f\x7f"))
    accepts = CompiledSchema({"type": "string", "pattern": pattern}).accepts

    assert not accepts(text[:position] + control + text[position:])


@pytest.mark.parametrize("name", ["PersonName", "ProductName"])
@pytest.mark.parametrize("text", ["", " ", "\u3000", "\u200b", " A", "A\u00a0", "A\n", "A\tB"])
def test_a_name_is_one_line_that_can_be_seen(name: str, text: str) -> None:
    accepts = CompiledSchema(RESOLVED_SCHEMAS[name]).accepts

    assert not accepts(text)
    assert all(map(accepts, ["A", "Ó", "Zoë van der Meer", "李小龍", "Kaffee 🫘"]))


@pytest.mark.parametrize(
    ("email", "is_one"),
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
def test_an_email_address_is_one_that_mail_can_reach(email: str, is_one: bool) -> None:
    assert CompiledSchema(RESOLVED_SCHEMAS["Email"]).accepts(email) is is_one


@each((name, one) for name, one in operations() if parameter_names(one, "header"))
def test_the_headers_of_conditional_and_repeated_requests_are_read_liberally(node: Node) -> None:
    # What is no entity tag is no fault, it only matches nothing; so the pattern is wide there.
    tags = ['"1"', '"3.18"', 'W/"1"', "*", '"1", "2" ,\tW/"3"', '""', "1"]
    accepted = {
        "If-Match": tags,
        "If-None-Match": tags,
        "Idempotency-Key": ['"abc"', "abc", "a" * 255, f'"{"a" * 255}"'],
    }
    refused = {
        "If-Match": ["", " ", "é", '"1"\n'],
        "If-None-Match": ["", " ", "é", '"1"\n'],
        "Idempotency-Key": ["", '""', '"abc', "a b", "a" * 256, "é", '"a"b"'],
    }
    for parameter in node["parameters"]:
        if parameter["in"] == "header":
            accepts = CompiledSchema(parameter["schema"]).accepts
            assert all(map(accepts, accepted[parameter["name"]]))
            assert not any(map(accepts, refused[parameter["name"]]))


def test_statuses_are_those_of_the_domain_wherever_they_stand() -> None:
    statuses = list(order_status.STATUSES)

    assert SCHEMAS["OrderStatus"]["enum"] == statuses
    assert SCHEMAS["OrderEvent"]["properties"]["from_status"]["enum"] == [*statuses, None]


def test_a_tracking_number_has_one_form() -> None:
    form = {"type", "minLength", "maxLength", "pattern"}
    of_order = SCHEMAS["Order"]["properties"]["tracking_number"]

    assert {key: of_order[key] for key in form} == {
        key: SCHEMAS["TrackingNumber"][key] for key in form
    }


def test_a_tracking_number_goes_with_shipping_alone() -> None:
    accepts = CompiledSchema(RESOLVED_SCHEMAS["OrderStatusChange"]).accepts

    for status in order_status.STATUSES:
        assert accepts({"status": status})
        assert accepts({"status": status, "tracking_number": "1Z"}) is (status == "SHIPPED")


def test_the_largest_order_can_be_written_down_exactly() -> None:
    lines = SCHEMAS["OrderRequest"]["properties"]["items"]["maxItems"]
    quantity = SCHEMAS["Quantity"]["maximum"]
    price = SCHEMAS["Price"]["properties"]["amount"]["maximum"]

    assert lines * quantity * price <= SCHEMAS["Money"]["properties"]["amount"]["maximum"]


def test_code_and_contract_have_the_same_bounds() -> None:
    """Where a rule of the shop is also a bound of the document."""
    assert stock.MAX_STOCK == SCHEMAS["NewProduct"]["properties"]["stock"]["maximum"]
    assert stock.MAX_STOCK == SCHEMAS["StockCount"]["properties"]["set_to"]["maximum"]
    assert product_files.MAX_PRICE == SCHEMAS["Price"]["properties"]["amount"]["maximum"]
