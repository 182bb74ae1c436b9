"""In the validating mode, a response may only contain what the contract documents."""

from __future__ import annotations

from typing import Any

import pytest

from orderly.contract.responses import ResponseCheck, ResponseMismatchError
from orderly.contract.schemas import CompiledSchema

EVENT = {
    "type": "object",
    "properties": {
        # A property can have the name of a keyword.
        "type": {"type": "string", "x-extensible-enum": ["PLACED", "PAID"]},
        "outcome": {"type": "string", "nullable": True, "x-extensible-enum": ["SENT"]},
        "actor": {"type": "object", "nullable": True, "properties": {"id": {"type": "integer"}}},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": EVENT},
        "labels": {"type": "object", "additionalProperties": True, "properties": {}},
        "last": {"allOf": [EVENT], "description": "The last event."},
        "problem": {
            "type": "object",
            "allOf": [
                {
                    "type": "object",
                    "properties": {"code": {"type": "string"}, "event": EVENT},
                }
            ],
            "properties": {"code": {"enum": ["taken"]}},
        },
    },
}
CHECK = ResponseCheck({"200": {"content": {"application/json": {"schema": SCHEMA}}}})
DOCUMENTED: list[Any] = [
    {},
    {"items": [{"type": "PLACED", "outcome": "SENT", "actor": {"id": 1}}]},
    {"items": [{"type": "PAID", "outcome": None, "actor": None}], "last": {"type": "PAID"}},
    {"labels": {"anything": 1}},
    {"problem": {"code": "taken", "event": {"type": "PAID"}}},
]
UNDOCUMENTED: list[Any] = [
    {"more": 1},
    {"items": [{"type": "SHIPPED"}]},
    {"items": [{"outcome": "LOST"}]},
    {"items": [{"actor": {"id": 1, "name": "Ada"}}]},
    {"last": {"type": "SHIPPED"}},
    {"last": {"more": 1}},
    {"problem": {"code": "taken", "more": 1}},
    {"problem": {"code": "taken", "event": {"type": "SHIPPED"}}},
]


@pytest.mark.parametrize("body", DOCUMENTED)
def test_a_documented_response_passes(body: Any) -> None:
    CHECK(body, 200, [])


@pytest.mark.parametrize("body", UNDOCUMENTED)
def test_an_unknown_member_or_value_is_a_mismatch(body: Any) -> None:
    with pytest.raises(ResponseMismatchError, match="body of 200"):
        CHECK(body, 200, [])


@pytest.mark.parametrize("body", [*DOCUMENTED, *UNDOCUMENTED])
def test_a_client_accepts_what_a_later_version_adds(body: Any) -> None:
    assert CompiledSchema(SCHEMA).accepts(body)
